"""Every automatic choice has a reason, and what cannot be had is refused."""

from __future__ import annotations

import pytest
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.errors import SettingError
from sciu.pipeline.train.choices import choose_amp, choose_cache, choose_compile, choose_cuda_graph, choose_device
from sciu.pipeline.train.settings import Settings

CPU = torch.device("cpu")


def test_on_a_cpu() -> None:
    assert choose_amp("auto", CPU).value in ("bf16", "off")
    assert choose_amp("fp16", CPU).value == "fp16"
    assert choose_cuda_graph("auto", CPU).value == "off"
    assert choose_compile("auto").value == "off"
    assert choose_compile("on").value == "on"
    with pytest.raises(SettingError, match="cuda_graph must be off or auto without a GPU"):
        choose_cuda_graph("on", CPU)


def test_devices_that_are_not_there_are_refused() -> None:
    assert choose_device("cpu")[0] == CPU
    for wrong in ("cuda:99", "tpu", "x y", "cpu:7"):
        with pytest.raises(SettingError, match="device must be"):
            choose_device(wrong)


def test_a_cache_that_fits_is_used_and_one_that_does_not_says_why(faces: Dataset) -> None:
    cache, choice = choose_cache(Settings(), faces, 28, 1)
    assert cache.budget > 0
    assert "28 clips need" in choice.reason
    cache, choice = choose_cache(Settings(), faces, 10**12, 1)
    assert cache.budget == 0
    assert "--cache" in choice.reason


SIZES = [("8G", 8 << 30, "cpu"), ("gpu:1.5GiB", 3 << 29, "cuda"), ("64M", 64 << 20, "cpu")]


@pytest.mark.parametrize(("text", "budget", "device"), SIZES)
def test_sizes(faces: Dataset, text: str, budget: int, device: str) -> None:
    cache, _ = choose_cache(Settings(cache=text), faces, 1, 1)
    assert (cache.budget, cache.device) == (budget, device)


@pytest.mark.parametrize("text", ["8", "much", "disk:8G", "-1G"])
def test_sizes_that_are_none(faces: Dataset, text: str) -> None:
    with pytest.raises(SettingError, match="cache must be auto, off, 8G or gpu:8G"):
        choose_cache(Settings(cache=text), faces, 1, 1)
