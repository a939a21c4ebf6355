"""Every automatic choice has a reason, and impossible requests are refused."""

from __future__ import annotations

import re
import threading

import pytest
import torch

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.errors import SettingError
from sciu.pipeline.train.config import choices
from sciu.pipeline.train.config.choices import (
    Choice,
    choose_amp,
    choose_cache,
    choose_compile,
    choose_cuda_graph,
    choose_device,
)
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.job.ranks import Ranks

CPU = torch.device("cpu")


def test_on_a_cpu() -> None:
    assert choose_amp("fp16", CPU).value == "fp16"
    assert choose_cuda_graph("auto", CPU).value == "off"
    assert choose_compile("auto").value == "off"
    assert choose_compile("on").value == "on"
    with pytest.raises(SettingError, match="cuda_graph must be off or auto without a GPU"):
        choose_cuda_graph("on", CPU)


@pytest.mark.parametrize(("rate", "chosen"), [(0.5, "off"), (1.1, "off"), (2.2, "bf16")])
def test_a_cpu_computes_in_bf16_if_it_is_faster_in_it(
    rate: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(choices, "_time_of_a_product", lambda kind: 1.0 if kind == torch.bfloat16 else rate)
    reason = f"this CPU multiplies matrices {rate} times as fast in bf16 as in float32"
    assert choose_amp("auto", CPU) == Choice(chosen, reason)
    assert choose_amp("bf16", CPU).value == "bf16"


def test_what_bf16_gains_is_timed_whatever_else_runs() -> None:
    threads = torch.get_num_threads()
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            pass

    busy = [threading.Thread(target=spin) for _ in range(3)]
    for thread in busy:
        thread.start()
    gains = [choices._gain_of_bf16() for _ in range(5)]
    stop.set()
    assert max(gains) < 3 * min(gains), "wall time is wrong by a factor of ten now and then"
    assert torch.get_num_threads() == threads


def test_a_cpu_without_bf16_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert choose_amp("auto", CPU) == Choice("off", "this CPU does not support bf16")


def test_devices_that_are_not_there_are_refused() -> None:
    assert choose_device("cpu")[0] == CPU
    for wrong in ("cuda:99", "tpu", "x y", "cpu:7"):
        with pytest.raises(SettingError, match="device must be"):
            choose_device(wrong)


GPU = torch.device("cuda", 0)
GIB = 1 << 30


def free(monkeypatch: pytest.MonkeyPatch, *, on_host: int, on_gpu: int = 0) -> None:
    """Simulate a machine with this much free memory."""
    monkeypatch.setattr(choices, "available_bytes", lambda: on_host)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (on_gpu, 80 * GIB))


def test_a_cache_that_fits_is_used_and_one_that_does_not_says_why(
    faces: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, on_host=8 * GIB)
    cache, choice = choose_cache(Settings(), faces, Ranks(), CPU)
    assert (cache.budget, cache.device) == (4 * GIB, "cpu")
    assert re.search(r"28 clips need [1-9]\d* MiB, half of the free memory is 4.0 GiB", choice.reason)
    free(monkeypatch, on_host=1 << 16)
    cache, choice = choose_cache(Settings(), faces, Ranks(), CPU)
    assert cache.budget == 0
    assert "--cache" in choice.reason


def test_a_gpu_keeps_the_clips_if_they_fit_beside_the_step_else_the_host_does(
    faces: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, on_host=8 * GIB, on_gpu=5 * GIB)
    cache, choice = choose_cache(Settings(), faces, Ranks(), GPU)
    assert cache.device == "cuda"
    assert cache.budget == GIB, "of which blocks are taken as they are needed"
    assert "cuda:0 has 1.0 GiB besides the step and 4.0 GiB kept free" in choice.reason
    free(monkeypatch, on_host=8 * GIB, on_gpu=4 * GIB)
    cache, choice = choose_cache(Settings(), faces, Ranks(), GPU)
    assert (cache.budget, cache.device) == (4 * GIB, "cpu")
    assert "half of the free memory is 4.0 GiB" in choice.reason


@pytest.mark.parametrize(("text", "budget"), [("8G", 8 * GIB), ("64M", 64 << 20), ("1.5GiB", 3 << 29)])
def test_sizes(faces: Dataset, text: str, budget: int) -> None:
    cache, _ = choose_cache(Settings(cache=text), faces, Ranks(), CPU)
    assert (cache.budget, cache.device) == (budget, "cpu")


def test_a_size_on_the_gpu_is_held_against_the_card(faces: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, on_host=8 * GIB, on_gpu=12 * GIB)
    cache, _ = choose_cache(Settings(cache="gpu:8G"), faces, Ranks(), GPU)
    assert (cache.budget, cache.device) == (8 * GIB, "cuda")
    with pytest.raises(
        SettingError, match="cache must be at most 8.0 GiB on cuda:0, which has no more besides the step"
    ):
        choose_cache(Settings(cache="gpu:9G"), faces, Ranks(), GPU)
    with pytest.raises(SettingError, match="cache must be on the CPU, as in 8G, without a GPU, but is 'gpu:1G'"):
        choose_cache(Settings(cache="gpu:1G"), faces, Ranks(), CPU)


@pytest.mark.parametrize("text", ["8", "much", "disk:8G", "-1G"])
def test_sizes_that_are_none(faces: Dataset, text: str) -> None:
    with pytest.raises(SettingError, match="cache must be auto, off, 8G or gpu:8G"):
        choose_cache(Settings(cache=text), faces, Ranks(), CPU)


@pytest.mark.parametrize(
    ("text", "place", "size"),
    [("8G", "cpu", 8 << 30), ("GPU:8GiB", "gpu", 8 << 30), (".5g", "cpu", 1 << 29), (":8M", "cpu", 8 << 20)],
)
def test_a_size_of_a_cache_may_be_written_in_several_ways(text: str, place: str, size: int) -> None:
    assert Settings(cache=text).requested_cache() == (place, size)
