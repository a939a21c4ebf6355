"""Pixels are cropped, resized, flipped, turned and jittered as planned, and unchanged where there is nothing to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import moving_picture
from numpy.typing import NDArray
from PIL import Image

from sciu.pipeline.feed.pixels.render import HostRenderer, Source, render_clip, stacked
from sciu.pipeline.feed.plan.plan import Samples

FRAMES = np.stack(moving_picture(6, width=48, height=40))
WHOLE = [0, 0, 40, 40]


def a_view(**changes: Any) -> Samples:
    plain: dict[str, Any] = {
        "ids": np.array([0]), "numbers": np.arange(6)[None].astype(np.int32), "sizes": np.array([[40, 48]], np.int32),
        "boxes": np.array([WHOLE], np.int32), "flips": np.array([False]), "angles": np.zeros(1, np.float32),
        "brightness": np.ones(1, np.float32), "contrast": np.ones(1, np.float32),
    }  # fmt: skip
    return Samples(**{**plain, **{name: np.array([value], plain[name].dtype) for name, value in changes.items()}})


def rendered(
    sample: Samples, size: int = 40, source: Source | None = None, picks: list[int] | None = None
) -> NDArray[Any]:
    picked = np.array(list(range(6)) if picks is None else picks)
    out = torch.full((len(picked), size, size, 3), 77, dtype=torch.uint8)
    render_clip(torch.from_numpy(FRAMES) if source is None else source, picked, sample, 0, out)
    return out.numpy()


def difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


def test_a_box_that_fits_is_copied_as_it_is() -> None:
    assert np.array_equal(rendered(a_view(boxes=[0, 5, 40, 40])), FRAMES[:, :40, 5:45])


@pytest.mark.parametrize("picks", [[0, 0, 1, 1, 5], [5], [1, 3], [0, 1, 2, 3, 4, 5]])
def test_frames_are_picked_in_order_and_repeated(picks: list[int]) -> None:
    assert np.array_equal(rendered(a_view(), picks=picks), FRAMES[picks][:, :40, :40])
    assert np.array_equal(rendered(a_view(), 20, picks=picks), rendered(a_view(), 20)[picks])


@pytest.mark.parametrize("size", [16, 33, 40, 90])
def test_resizing_smooths_as_pillow_does(size: int) -> None:
    box = [3, 7, 30, 36]
    expected: list[NDArray[Any]] = [
        np.asarray(Image.fromarray(frame[3:33, 7:43]).resize((size, size), Image.Resampling.BILINEAR))
        for frame in FRAMES
    ]
    assert difference(rendered(a_view(boxes=box), size), np.stack(expected)) < 0.6


def test_flipping() -> None:
    assert np.array_equal(rendered(a_view(flips=True)), FRAMES[:, :40, :40][:, :, ::-1])
    assert np.array_equal(rendered(a_view(flips=True), 20), rendered(a_view(), 20)[:, :, ::-1])


def test_turning_goes_anticlockwise_about_the_middle() -> None:
    turned = rendered(a_view(angles=15.0))
    straight = [Image.fromarray(frame[:40, :40]) for frame in FRAMES]
    expected = np.stack([np.asarray(picture.rotate(15, Image.Resampling.BILINEAR)) for picture in straight])
    middle = slice(10, 30)
    assert difference(turned[:, middle, middle], expected[:, middle, middle]) < 1
    assert difference(turned[:, middle, middle], FRAMES[:, 10:30, 10:30]) > 3
    assert turned.min() > 0 or FRAMES.min() == 0, "corners are filled with picture, not with black"


def test_brightness_and_contrast() -> None:
    pixels = FRAMES[:, :40, :40].astype(np.float32)
    assert difference(rendered(a_view(brightness=1.2)), np.clip(pixels * 1.2, 0, 255)) < 0.6
    assert difference(rendered(a_view(contrast=0.5)), 127.5 + (pixels - 127.5) * 0.5) < 0.6
    light = rendered(a_view(brightness=1.9), source=torch.from_numpy(255 - FRAMES))
    assert difference(light, np.full(light.shape, 255)) < 2, "no wrapping around"


def test_frames_that_differ_in_size_are_cropped_in_proportion() -> None:
    large = torch.from_numpy(FRAMES).repeat_interleave(2, 1).repeat_interleave(2, 2)
    mixed = stacked([large[0], torch.from_numpy(FRAMES[1])])
    assert isinstance(mixed, list)
    seen = rendered(a_view(boxes=[4, 6, 20, 20]), 20, mixed, [0, 1])
    assert difference(seen[0], FRAMES[0, 4:24, 6:26]) < 1
    assert np.array_equal(seen[1], FRAMES[1, 4:24, 6:26])


@pytest.mark.parametrize("threads", [1, 3])
def test_a_batch_in_threads_is_its_clips_one_by_one(threads: int) -> None:
    samples = [a_view(flips=k % 2 == 0, angles=3.0 * k, boxes=[k, k, 30, 30 + k]) for k in range(5)]
    batch = Samples(**{name: np.concatenate([getattr(view, name) for view in samples]) for name in vars(samples[0])})
    usual = torch.get_num_threads()
    renderer = HostRenderer(threads)
    try:
        made, work = renderer.start([torch.from_numpy(FRAMES)] * 5, [np.arange(6)] * 5, batch, 20)
        work.results()
        assert torch.get_num_threads() == usual, "torch's own threads stay as they were"
    finally:
        renderer.close()
    for row, view in enumerate(samples):
        assert np.array_equal(made.frames_BTHWC[row].numpy(), rendered(view, 20))


def test_no_clips_make_an_empty_batch() -> None:
    renderer = HostRenderer(2)
    made, work = renderer.start([], [], a_view()[:0], 20)
    work.results()
    renderer.close()
    assert made.frames_BTHWC.shape == (0, 6, 20, 20, 3)


@pytest.mark.needs_cuda
@pytest.mark.parametrize("size", [16, 40, 64])
def test_a_gpu_renders_the_same(size: int) -> None:
    view = replace(a_view(flips=True, angles=5.0, brightness=1.1, contrast=0.9), boxes=np.array([[2, 3, 36, 40]]))
    out = torch.empty((6, size, size, 3), dtype=torch.uint8, device="cuda")
    render_clip(torch.from_numpy(FRAMES).cuda(), np.arange(6), view, 0, out)
    assert difference(out.cpu().numpy(), rendered(view, size)) < 1
