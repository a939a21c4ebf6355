"""DALI pipelines as queues: in order, any number of batches ahead, rebuilt when a clip breaks them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from feeding import Work, png_bomb
from helpers import H264, moving_picture

from sciu.pipeline.dataset.media.encode import encode_jpeg, encode_video
from sciu.pipeline.feed.decode.dali import Decoder, ImageDecoder, Refused, SharedVideoDecoder, VideoDecoder
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.files.clip_layout import Images, Video

CPU = torch.device("cpu")
JUNK = np.frombuffer(b"this is no picture at all" * 20, np.uint8)
FRAMES = moving_picture(12)
VP9 = np.frombuffer(encode_video(FRAMES, "libvpx-vp9", "webm", {}), np.uint8)


def images(*numbers: int, width: int = 48) -> Images:
    frames = moving_picture(12, width=width)
    return Images([np.frombuffer(encode_jpeg(frames[number]), np.uint8) for number in numbers])


def video(*numbers: int) -> Video:
    return Video(VP9, np.array(numbers, np.int32))


def numbers_in(source: Any) -> list[int]:
    """Recognise frames by their brightness."""
    expected = np.array([frame.mean() for frame in FRAMES])
    return [int(np.abs(expected - frame.float().mean().item()).argmin()) for frame in source]


CASES: dict[str, tuple[Callable[[], Decoder[Any]], Callable[..., Any], Any]] = {
    "images": (lambda: ImageDecoder(CPU, 2), images, Images([JUNK])),
    "videos": (lambda: VideoDecoder(CPU, 2), video, Video(JUNK, np.array([0], np.int32))),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[Decoder[Any], Callable[..., Any], Any]:
    make, good, bad = CASES[request.param]
    return make(), good, bad


def test_many_batches_ahead_come_out_in_order(case: tuple[Decoder[Any], Callable[..., Any], Any]) -> None:
    decoder, good, _ = case
    batches = [[good(k % 11, 11)] * (1 + k % 3) for k in range(8)]
    for batch in batches:
        decoder.put(batch)
    for k, batch in enumerate(batches):
        assert [numbers_in(source) for source in decoder.take()] == [[k % 11, 11]] * len(batch)
    assert decoder.rebuilt == 0


def test_a_bad_clip_costs_itself_only(case: tuple[Decoder[Any], Callable[..., Any], Any]) -> None:
    decoder, good, bad = case
    decoder.put([good(1), bad, good(2)])
    decoder.put([good(3)])
    decoder.put([bad, bad])
    decoder.put([good(4), good(5)])
    first, second, third, fourth = (decoder.take() for _ in range(4))
    assert [source if isinstance(source, Refused) else numbers_in(source) for source in first][::2] == [[1], [2]]
    assert isinstance(first[1], Refused)
    assert "\n" not in first[1].why
    assert [numbers_in(source) for source in second] == [[3]]
    assert all(isinstance(source, Refused) for source in third)
    assert [numbers_in(source) for source in fourth] == [[4], [5]]
    decoder.put([good(6)])
    assert [numbers_in(source) for source in decoder.take()] == [[6]], "and the queue lives on"


def test_draining_forgets(case: tuple[Decoder[Any], Callable[..., Any], Any]) -> None:
    decoder, good, bad = case
    for batch in ([good(1)], [bad], [good(2)]):
        decoder.put(batch)
    decoder.drain()
    decoder.put([good(7)])
    assert [numbers_in(source) for source in decoder.take()] == [[7]]


def test_images_of_several_sizes_and_counts() -> None:
    decoder = ImageDecoder(CPU, 2)
    mixed = Images([*images(3).files, *images(4, width=64).files])
    decoder.put([images(0, 1, 2), images(5, width=80), mixed])
    same, wide, differing = decoder.take()
    assert isinstance(same, torch.Tensor)
    assert same.shape == (3, 48, 48, 3)
    assert isinstance(wide, torch.Tensor)
    assert wide.shape == (1, 48, 80, 3)
    assert isinstance(differing, list)
    assert [tuple(frame.shape) for frame in differing] == [(48, 48, 3), (48, 64, 3)]


def test_frames_outlive_the_batches_that_come_after_them() -> None:
    decoder = ImageDecoder(CPU, 2)
    decoder.put([images(0, 11)])
    (first,) = decoder.take()
    for _ in range(6):
        decoder.put([images(5, 6)])
        decoder.take()
    assert numbers_in(first) == [0, 11]


def test_what_dali_says_of_a_codec_it_lacks_is_one_line() -> None:
    decoder = VideoDecoder(CPU, 1)
    h264 = np.frombuffer(encode_video(FRAMES, *H264), np.uint8)
    decoder.put([Video(h264, np.array([0], np.int32))])
    (refused,) = decoder.take()
    assert isinstance(refused, Refused)
    assert "Failed to create video decoder" in refused.why


def test_a_fault_of_the_machine_is_not_a_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = ImageDecoder(CPU, 1)
    decoder.put([images(1), images(2)])

    def out_of_memory(*_: object) -> None:
        raise RuntimeError("CUDA allocation failed\nnvml error")

    monkeypatch.setattr(decoder, "_outputs", out_of_memory)
    with pytest.raises(FeedError, match="DALI failed: CUDA allocation failed. Try a smaller --batch-size"):
        decoder.take()


def test_one_picture_that_asks_for_all_memory_is_a_bad_picture() -> None:
    decoder = ImageDecoder(CPU, 1)
    decoder.put([images(1), Images([np.frombuffer(png_bomb(), np.uint8)]), images(2)])
    first, bomb, last = decoder.take()
    assert [numbers_in(first), numbers_in(last)] == [[1], [2]]
    assert isinstance(bomb, Refused)


def test_a_batch_of_more_samples_than_a_run_takes_is_several_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciu.pipeline.feed.decode.dali._MOST_SAMPLES", {"cpu": 3})
    decoder = ImageDecoder(CPU, 1)
    batches = [[images(1, 2), images(3, 4, 5, 6), images(7)], [images(5)], [images(6, 7), images(8, 9)]]
    for batch in batches:
        decoder.put(batch)
    taken = [[numbers_in(source) for source in decoder.take()] for _ in batches]
    assert taken == [[[1, 2], [3, 4, 5, 6], [7]], [[5]], [[6, 7], [8, 9]]]
    assert decoder.rebuilt == 0
    decoder.put([images(1, 2), images(3, width=64), images(4)])
    assert [tuple(source[0].shape) for source in decoder.take() if not isinstance(source, Refused)] == [
        (48, 48, 3), (48, 64, 3), (48, 48, 3),
    ]  # fmt: skip


def test_a_batch_that_cannot_be_handed_over_gets_its_own_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = ImageDecoder(CPU, 1)
    feed_input, calls = decoder._pipeline.feed_input, []

    def refuses_the_second(name: str, values: Any) -> None:
        calls.append(name)
        if len(calls) == 2:
            raise RuntimeError("no")
        feed_input(name, values)

    monkeypatch.setattr(decoder._pipeline, "feed_input", refuses_the_second)
    for batch in ([images(1, 2)], [images(3), images(4)], [images(5)]):
        decoder.put(batch)
    assert [[numbers_in(source) for source in decoder.take()] for _ in range(3)] == [[[1, 2]], [[3], [4]], [[5]]]
    assert decoder.rebuilt == 1


def test_several_pipelines_share_a_batch_and_keep_its_order() -> None:
    alone, shared = VideoDecoder(CPU, 1), SharedVideoDecoder(CPU, 2, 2)
    clips = [video(number) for number in (1, 3, 5, 7, 9)]
    for batch in (clips, clips[:1], clips[2:]):
        alone.put(batch)
        shared.put(batch)
    for _ in range(3):
        assert [numbers_in(source) for source in shared.take()] == [numbers_in(source) for source in alone.take()]
    shared.put(clips)
    shared.drain()
    shared.put([Video(JUNK, np.array([0], np.int32)), video(9)])
    junk, good = shared.take()
    assert isinstance(junk, Refused)
    assert numbers_in(good) == [9]


@pytest.mark.parametrize("where", ["before", "after"])
def test_an_interrupt_in_mid_take_does_not_shift_the_queue(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    decoder = ImageDecoder(CPU, 1)
    for number in (1, 2, 3):
        decoder.put([images(number)])
    outputs = decoder._outputs

    def interrupted(entry: Any) -> Any:
        if where == "after":
            outputs(entry)
        raise KeyboardInterrupt

    monkeypatch.setattr(decoder, "_outputs", interrupted)
    with pytest.raises(KeyboardInterrupt):
        decoder.take()
    monkeypatch.undo()
    decoder.drain()
    decoder.put([images(9)])
    assert [numbers_in(source) for source in decoder.take()] == [[9]]


class Run:
    """The output of a pipeline's run: decoded images in memory that the pipeline reuses once this is deleted."""

    def __init__(self, number: int) -> None:
        self._frames = torch.full((2, 4, 4, 3), number, dtype=torch.uint8)

    def __len__(self) -> int:
        return len(self._frames)

    def is_dense_tensor(self) -> bool:
        return True

    def as_tensor(self) -> torch.Tensor:
        return self._frames.clone()


def test_on_a_gpu_frames_are_held_until_their_copies_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of several runs is joined by copies, which are only queued, behind the stream's current work."""
    decoder, stream = ImageDecoder(CPU, 1), Work()
    runs: list[weakref.ref[Run]] = []

    def outputs(**_: object) -> list[Run]:
        run = Run(len(runs))
        runs.append(weakref.ref(run))
        return [run]

    decoder._device = torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: stream)
    monkeypatch.setattr(decoder, "_pipeline", SimpleNamespace(outputs=outputs))
    entry: Any = SimpleNamespace(runs=2, clips=[images(1, 2, 3), images(4)])
    assert [len(source) for source in decoder._outputs(entry)] == [3, 1]
    assert all(run() is not None for run in runs)
    stream.done = True
    decoder._outputs(entry)
    assert runs[0]() is None


def test_a_machine_that_refuses_a_shared_batch_is_no_fault_of_the_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pipeline's part is one clip here, so only all parts together show the fault."""
    shared = SharedVideoDecoder(CPU, 2, 2)
    for decoder in shared._decoders:
        monkeypatch.setattr(decoder, "take_as_it_is", lambda: [Refused("CUDA allocation failed")])
    shared.put([video(1), video(2)])
    with pytest.raises(FeedError, match="DALI failed: CUDA allocation failed"):
        shared.take()


@pytest.mark.parametrize(("device", "most"), [("cpu", 65536), ("cuda", 512)])
def test_nvjpeg_is_not_asked_for_the_memory_of_thousands_of_images(
    monkeypatch: pytest.MonkeyPatch, device: str, most: int
) -> None:
    asked: dict[str, Any] = {}

    class Recorder:
        """Replaces DALI's pipeline."""

        def __init__(self, **settings: Any) -> None:
            asked.update(settings)

        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

        def set_outputs(self, *_: object) -> None: ...

        def build(self) -> None: ...

    monkeypatch.setattr("nvidia.dali.Pipeline", Recorder)
    monkeypatch.setattr(ImageDecoder, "_graph", lambda *_: None)
    ImageDecoder(torch.device(device), 3)
    assert (asked["batch_size"], asked["num_threads"]) == (most, 3)
    assert asked["device_id"] == (0 if device == "cuda" else None)


@pytest.mark.needs_cuda
def test_on_a_gpu() -> None:
    device = torch.device("cuda")
    h264 = np.frombuffer(encode_video(moving_picture(12, 128, 128), *H264), np.uint8)
    videos = VideoDecoder(device, 4)
    videos.put([Video(h264, np.array([2, 7], np.int32))] * 3)
    videos.put([Video(JUNK, np.array([0], np.int32)), Video(h264, np.array([4], np.int32))])
    for source in videos.take():
        assert isinstance(source, torch.Tensor)
        assert source.is_cuda
        assert source.shape == (2, 128, 128, 3)
    refused, good = videos.take()
    assert isinstance(refused, Refused)
    assert isinstance(good, torch.Tensor)
    pictures = ImageDecoder(device, 4)
    pictures.put([images(3, 9)])
    (source,) = pictures.take()
    assert numbers_in(source) == [3, 9]
