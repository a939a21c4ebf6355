"""The device receives what was sent: all frames of a clip, the picked ones, or frames of several sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from feeding import Work
from hypothesis import given, settings
from hypothesis import strategies as st

from sciu.pipeline.feed.pixels.upload import Part, Staging, Upload

DEVICES = [torch.device("cpu"), pytest.param(torch.device("cuda", 0), marks=pytest.mark.needs_cuda)]


def frames(seed: int, count: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def sent(parts: list[Part], device: torch.device) -> list[torch.Tensor | list[torch.Tensor]]:
    upload = Upload(parts, Staging(pinned=device.type == "cuda"))
    for number in range(len(parts)):
        upload.gather(number)
    return upload.send(device)


@pytest.mark.parametrize("device", DEVICES)
def test_clips_of_every_kind_in_one_copy(device: torch.device) -> None:
    one, other, mixed = frames(0, 5, 4, 6), frames(1, 3, 7, 5), [frames(2, 1, 4 + k, 3 + k)[0] for k in range(4)]
    picks = np.array([0, 2, 2])
    parts = [Part(one, None), Part(other, picks), Part(mixed, picks), Part(mixed, None)]
    first, second, third, fourth = sent(parts, device)
    assert isinstance(first, torch.Tensor)
    assert isinstance(second, torch.Tensor)
    assert torch.equal(first.cpu(), one)
    assert torch.equal(second.cpu(), other[[0, 2, 2]])
    assert all(torch.equal(a.cpu(), mixed[k]) for a, k in zip(third, picks.tolist(), strict=True))
    assert all(torch.equal(a.cpu(), b) for a, b in zip(fourth, mixed, strict=True))
    assert first.is_contiguous()
    assert first.device.type == device.type


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=6))
def test_any_number_of_clips(shapes: list[tuple[int, int, int]]) -> None:
    clips = [frames(seed, *shape) for seed, shape in enumerate(shapes)]
    arrived = sent([Part(clip, None) for clip in clips], torch.device("cpu"))
    for clip, found in zip(clips, arrived, strict=True):
        assert isinstance(found, torch.Tensor)
        assert torch.equal(found, clip)


def test_memory_is_used_again_once_the_copy_from_it_is_done() -> None:
    staging, first, second = Staging(pinned=False), Work(), Work()
    memory = staging.take(100)
    place = memory.data_ptr()
    staging.give_back(memory, first)
    other = staging.take(100)
    assert other.data_ptr() != place, "it is still being copied"
    staging.give_back(other, second)
    first.done = second.done = True
    assert staging.take(110).data_ptr() == place, "a little more fits"
    assert len(staging.take(10_000)) >= 10_000
    assert not staging._used, "what has become too small is let go"
