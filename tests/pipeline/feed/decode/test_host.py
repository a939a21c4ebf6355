"""The host's decoder is a queue: batches ahead, in order, a bad clip costs itself, a bad machine stops everything."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import H264, cut, make_dataset, moving_picture, write_clip, write_frames

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.importers import folder
from sciu.pipeline.dataset.media.encode import encode_video
from sciu.pipeline.feed.decode.faults import Fault
from sciu.pipeline.feed.decode.host import HostDecoder
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.files.clip_files import ClipFiles, OnHost
from sciu.pipeline.feed.files.routes import cpu_refusal

FRAMES = moving_picture(12)


def make_clips(place: Path) -> Dataset:
    """A clip of every kind that the host decodes: 12 frames each, whose brightness is their number."""
    source = place / "src/train/happy"
    source.mkdir(parents=True)
    (source / "h264.mp4").write_bytes(encode_video(FRAMES, *H264))
    write_clip(source / "vp9.webm", "vp9")
    write_clip(source / "packed.zip", "jpeg")
    write_frames(source / "folder", FRAMES)
    sizes = [moving_picture(12, 48 + 2 * number)[number] for number in range(12)]
    write_frames(source / "sizes differ", sizes)
    return make_dataset(folder.read(place / "src"), place / "data")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """For reading only."""
    return make_clips(tmp_path_factory.mktemp("on host"))


@pytest.fixture(params=[1, 3])
def decoder(clips: Dataset, request: pytest.FixtureRequest) -> Iterator[HostDecoder]:
    """With one thread, and with several."""
    decoder = HostDecoder(ClipFiles(clips, cpu_refusal), request.param)
    yield decoder
    decoder.close()


def clip_of(dataset: Dataset, name: str) -> int:
    return [Path(path).name for path in dataset.clips.path].index(name)


def wanted(clip: int, *numbers: int) -> OnHost:
    return OnHost(clip, np.array(numbers, np.int32))


def numbers_in(source: Any) -> list[int]:
    """Recognise frames by their brightness."""
    assert not isinstance(source, Fault), source
    expected = np.array([frame.mean() for frame in FRAMES])
    return [int(np.abs(expected - frame.float().mean().item()).argmin()) for frame in source]


def test_every_kind_of_clip_gives_the_wanted_frames(decoder: HostDecoder, clips: Dataset) -> None:
    """Twice: at a second look H.264 is decoded from its packets."""
    for _ in range(2):
        for clip in range(len(clips)):
            decoder.files.read(clip, np.array([0], np.int32))
            assert numbers_in(decoder.decode(wanted(clip, 1, 4, 11))) == [1, 4, 11], clips.clips.path[clip]


def test_frames_of_one_size_are_one_tensor_that_may_be_written_to(decoder: HostDecoder, clips: Dataset) -> None:
    for name in ("h264.mp4", "folder"):
        source = decoder.decode(wanted(clip_of(clips, name), 2, 3, 5))
        assert isinstance(source, torch.Tensor)
        assert (source.shape, source.dtype) == ((3, 48, 48, 3), torch.uint8)
        source.zero_()
    differing = decoder.decode(wanted(clip_of(clips, "sizes differ"), 0, 5))
    assert isinstance(differing, list)
    assert [tuple(frame.shape) for frame in differing] == [(48, 48, 3), (48, 58, 3)]
    assert all(frame.dtype == torch.uint8 for frame in differing)


def test_many_batches_ahead_come_out_in_order(decoder: HostDecoder, clips: Dataset) -> None:
    batches = [[wanted((k + place) % len(clips), k, 11) for place in range(k)] for k in (3, 0, 7, 1, 5)]
    for batch in batches:
        decoder.put(batch)
    for batch in batches:
        assert [numbers_in(source) for source in decoder.take()] == [each.numbers.tolist() for each in batch]


# ---- what goes wrong


def test_a_bad_clip_costs_itself_only(tmp_path: Path) -> None:
    dataset = make_clips(tmp_path)
    gone, junk, short = (clip_of(dataset, name) for name in ("vp9.webm", "packed.zip", "h264.mp4"))
    good = clip_of(dataset, "folder")
    dataset.path(gone).unlink()
    dataset.path(junk).write_bytes(b"junk" * 100)
    cut(dataset.path(short))
    decoder = HostDecoder(ClipFiles(dataset, cpu_refusal), 2)
    decoder.put([wanted(clip, 0, 11) for clip in (good, gone, junk, good, short)])
    decoder.put([wanted(good, 4)])
    first, *faults, fourth, last = decoder.take()
    assert numbers_in(first) == numbers_in(fourth) == [0, 11]
    for clip, found in zip((gone, junk, short), (*faults, last), strict=True):
        assert isinstance(found, Fault)
        assert found.clip == clip
        assert found.reason
        assert "\n" not in found.reason
    assert isinstance(faults[0], Fault)
    assert "missing" in faults[0].reason
    assert [numbers_in(source) for source in decoder.take()] == [[4]], "and the queue lives on"
    decoder.close()


def test_a_frame_beyond_the_end_is_a_fault(decoder: HostDecoder, clips: Dataset) -> None:
    for clip in range(len(clips)):
        found = decoder.decode(wanted(clip, 0, 12))
        assert isinstance(found, Fault), clips.clips.path[clip]
        assert found.clip == clip


@dataclass(eq=False)
class Slow(ClipFiles):
    """Decodes nothing before it is told to, and fails where it is told to."""

    of: Dataset
    go: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    decoded: list[int] = field(default_factory=list)
    errors: dict[int, Exception] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.of, cpu_refusal)

    def decode(self, wanted: OnHost) -> list[Any]:
        self.begun.set()
        assert self.go.wait(10)
        self.decoded.append(wanted.clip)
        if wanted.clip in self.errors:
            raise self.errors[wanted.clip]
        return super().decode(wanted)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.EMFILE, "Too many open files"),
        MemoryError("cannot allocate"),
        RuntimeError("can't start new thread"),
    ],
)
def test_what_is_wrong_with_the_machine_is_no_fault_of_a_clip(clips: Dataset, error: Exception) -> None:
    files = Slow(clips, errors={0: error})
    files.go.set()
    decoder = HostDecoder(files, 2)
    decoder.put([wanted(0, 0)])
    with pytest.raises(FeedError, match=clips.path(0).name) as raised:
        decoder.take()
    assert raised.value.__cause__ is error
    decoder.close()


def test_a_bug_is_no_fault_of_a_clip(clips: Dataset) -> None:
    files = Slow(clips, errors={0: KeyError("ours")})
    files.go.set()
    decoder = HostDecoder(files, 1)
    decoder.put([wanted(0, 0)])
    with pytest.raises(KeyError, match="ours"):
        decoder.take()
    decoder.close()


# ---- forgetting


def test_draining_forgets_what_was_put_and_begins_nothing_more(clips: Dataset) -> None:
    """Also what went wrong with it."""
    files = Slow(clips, errors={0: OSError(errno.EIO, "Input/output error")})
    decoder = HostDecoder(files, 1)
    for clip in (0, 1, 2):
        decoder.put([wanted(clip, 0)])
    assert files.begun.wait(10)
    decoder.drain()
    files.go.set()
    decoder.put([wanted(3, 7)])
    assert [numbers_in(source) for source in decoder.take()] == [[7]]
    assert files.decoded == [0, 3]
    decoder.drain()  # of nothing
    decoder.close()


def test_closing_ends_the_threads(clips: Dataset) -> None:
    before = {*threading.enumerate()}
    decoder = HostDecoder(ClipFiles(clips, cpu_refusal), 3)
    decoder.put([wanted(clip, 0) for clip in range(len(clips))])
    decoder.take()
    assert {*threading.enumerate()} - before
    decoder.close()
    assert not {*threading.enumerate()} - before
    with pytest.raises(RuntimeError, match="shutdown"):
        decoder.put([wanted(0, 0)])
