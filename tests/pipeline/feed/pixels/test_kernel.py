"""The kernel matches `render.py`, for frames anywhere in memory; Triton's interpreter runs it without a GPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.pixels import render
from sciu.pipeline.feed.pixels.gpu_render import GpuRenderer, choose_draw, draw_clip_by_clip
from sciu.pipeline.feed.pixels.render import Source, render_clip, stacked
from sciu.pipeline.feed.plan.plan import Samples

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FRAMES = 2
Picks = NDArray[np.int64]


def smooth_noise(rng: np.random.Generator, frames: int, height: int, width: int) -> torch.Tensor:
    """Pixels that differ everywhere, with similar neighbours as in a picture."""
    noise = torch.from_numpy(rng.integers(0, 256, (frames, 3, height, width)).astype(np.float32))
    smooth = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    return smooth.permute(0, 2, 3, 1).round().byte().contiguous().to(DEVICE)


def a_clip(rng: np.random.Generator, *, mixed: bool) -> tuple[Source, tuple[int, int]]:
    """A clip of four frames and the size in the table, which is the first frame's."""
    height, width = rng.integers(6, 60, 2).tolist()
    frames = smooth_noise(rng, 4, height, width)
    if not mixed:
        return frames, (height, width)
    return stacked([frames[0], *(smooth_noise(rng, 1, height + k, width + 2 * k)[0] for k in (1, 2, 3))]), (
        height,
        width,
    )


def a_box(rng: np.random.Generator, height: int, width: int) -> list[int]:
    tall, wide = int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1))
    return [int(rng.integers(0, height - tall + 1)), int(rng.integers(0, width - wide + 1)), tall, wide]


def by_definition(sources: Sequence[Source], picks: Sequence[Picks], samples: Samples, size: int) -> torch.Tensor:
    """Render clip by clip in the precision of a GPU: integers would be rounded twice in a resize."""
    out = torch.empty((*samples.numbers.shape, size, size, 3), dtype=torch.uint8, device=DEVICE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "_in_float", lambda _frames: True)
        for row, (source, picked) in enumerate(zip(sources, picks, strict=True)):
            render_clip(source, picked, samples, row, out[row])
    return out


def by_the_kernel(sources: Sequence[Source], picks: Sequence[Picks], samples: Samples, size: int) -> ClipBatch:
    from sciu.pipeline.feed.pixels.launch import launch

    shape = *samples.numbers.shape, size, size, 3
    batch = ClipBatch(
        torch.full((len(samples),), -7, device=DEVICE), torch.full(shape, 77, dtype=torch.uint8, device=DEVICE)
    )
    launch(sources, picks, samples, batch)
    return batch


@settings(max_examples=15, deadline=None)  # a second each in the interpreter
@given(
    seed=st.integers(0, 1 << 32),
    size=st.integers(4, 40),
    turned=st.booleans(),
    jitter=st.booleans(),
    mixed=st.booleans(),
)
def test_it_is_at_most_one_level_from_the_definition(
    seed: int, size: int, turned: bool, jitter: bool, mixed: bool
) -> None:
    rng = np.random.default_rng(seed)
    clips = [a_clip(rng, mixed=mixed and k == 1) for k in range(2)]
    picks = [np.sort(rng.integers(0, 4, FRAMES)) for _ in clips]
    samples = Samples(
        ids=rng.integers(0, 1 << 40, 2), numbers=np.zeros((2, FRAMES), np.int32),
        sizes=np.array([known for _, known in clips], np.int32),
        boxes=np.array([a_box(rng, *known) for _, known in clips], np.int32),
        flips=rng.random(2) < 0.5, angles=(turned * rng.uniform(-45, 45, 2)).astype(np.float32),
        brightness=(1 + jitter * rng.uniform(-0.5, 0.5, 2)).astype(np.float32),
        contrast=(1 + jitter * rng.uniform(-0.5, 0.5, 2)).astype(np.float32),
    )  # fmt: skip
    sources = [source for source, _ in clips]
    made = by_the_kernel(sources, picks, samples, size)
    expected = by_definition(sources, picks, samples, size)
    stretched = max(1.0, float((samples.brightness * samples.contrast).max()))  # which scales the difference
    assert int((made.frames_BTHWC.int() - expected.int()).abs().max()) <= math.ceil(stretched)
    assert made.ids.tolist() == samples.ids.tolist()


PLAIN_VIEW = Samples(
    ids=np.array([5]), numbers=np.zeros((1, 2), np.int32), sizes=np.array([[20, 30]], np.int32),
    boxes=np.array([[2, 7, 16, 16]], np.int32), flips=np.array([False]), angles=np.zeros(1, np.float32),
    brightness=np.ones(1, np.float32), contrast=np.ones(1, np.float32),
)  # fmt: skip


def test_a_box_that_fits_is_copied_as_it_is() -> None:
    frames = smooth_noise(np.random.default_rng(0), 3, 20, 30)
    made = by_the_kernel([frames], [np.array([2, 0])], PLAIN_VIEW, 16)
    assert torch.equal(made.frames_BTHWC[0], frames[[2, 0], 2:18, 7:23])


def test_without_the_kernel_torch_does_it_and_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object) -> None:
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    monkeypatch.setattr("sciu.pipeline.feed.pixels.launch.launch", no_compiler)
    monkeypatch.setattr(torch.cuda, "device", lambda _device: nullcontext())
    draw, reason = choose_draw(DEVICE)
    assert draw is draw_clip_by_clip
    assert reason.endswith("because the Triton kernel does not work here: RuntimeError: Failed to find C compiler.")


@pytest.mark.needs_cuda
def test_the_fallback_makes_the_same_batch() -> None:
    rng = np.random.default_rng(3)
    sources = [a_clip(rng, mixed=mixed)[0] for mixed in (False, True)]
    picks = [np.array([0, 2]), np.array([1, 1])]
    samples = Samples(
        ids=np.array([7, 9]), numbers=np.zeros((2, 2), np.int32),
        sizes=np.array([source[0].shape[:2] for source in sources], np.int32),
        boxes=np.array([[0, 0, *source[0].shape[:2]] for source in sources], np.int32), flips=np.array([True, False]),
        angles=np.array([3, 0], np.float32), brightness=np.ones(2, np.float32), contrast=np.ones(2, np.float32),
    )  # fmt: skip
    made = by_the_kernel(sources, picks, samples, 16)
    fallback = ClipBatch(torch.zeros_like(made.ids), torch.zeros_like(made.frames_BTHWC))
    draw_clip_by_clip(sources, picks, samples, fallback)
    assert torch.equal(made.ids, fallback.ids)
    assert int((made.frames_BTHWC.int() - fallback.frames_BTHWC.int()).abs().max()) <= 1


@pytest.mark.needs_cuda
def test_a_place_of_another_shape_is_refused() -> None:
    renderer = GpuRenderer(DEVICE, 1)
    frames = smooth_noise(np.random.default_rng(0), 3, 20, 30)
    wrong = ClipBatch(
        torch.zeros(1, dtype=torch.int64, device=DEVICE), torch.zeros((1, 1, 16, 16, 3), device=DEVICE).byte()
    )
    with pytest.raises(ValueError, match=r"`into` must have shape \(1, 2, 16, 16, 3\)"):
        renderer.render([frames], [np.array([0, 1])], PLAIN_VIEW, 16, wrong)
    renderer.close()
