"""Mean absolute error (Ghosh et al., AAAI 2017): bounded, so that no wrong label can shout."""

from __future__ import annotations

from torch import Tensor


def mean_absolute_error(logits_BK: Tensor, labels_B: Tensor) -> Tensor:
    """Sum of |probability - one-hot label| over the classes, a value a clip: 2 * (1 - p of the label)."""
    probability_B = logits_BK.float().softmax(dim=1).gather(1, labels_B[:, None]).squeeze(1)
    return 2.0 * (1.0 - probability_B)
