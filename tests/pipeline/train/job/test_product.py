"""What a product of matrices reaches is measured, in operations a second."""

from __future__ import annotations

import torch

from sciu.pipeline.train.job.product import reachable


def test_a_rate_is_that_of_a_product_which_is_timed_here() -> None:
    rate = reachable(torch.device("cpu"), torch.float32, 256)
    assert 1e7 < rate < 1e15, "2 * 256^3 operations in 3 s to 30 ns"
