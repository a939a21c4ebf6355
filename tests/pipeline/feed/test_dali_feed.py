"""The choice of decoder, the cache, clips that DALI refuses; pruned clips are not touched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from feeding import AUGMENTATIONS, CPU, SIZE, VIDEOS, delivered, index_of, plan_of, resident_bytes, same
from helpers import H264, make_dataset, silent, write_clip, write_frames
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset, list_paths
from sciu.pipeline.dataset.importers import folder
from sciu.pipeline.dataset.media.encode import encode_video
from sciu.pipeline.dataset.synth import Synth, generate
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.dali_feed import DaliFeed
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.memory.cache import Cache
from sciu.pipeline.feed.plan.plan import Plan, Planner
from sciu.pipeline.feed.plan.sampling import Sampling
from sciu.purification import Keep, Purifier


def test_who_decodes_what_is_told_with_the_reason(zoo: Dataset, dali: DaliFeed) -> None:
    delivered(dali, plan_of(zoo))
    reasons = "\n".join(dali.reasons)
    assert "3 mjpeg clips: DALI" not in reasons
    assert "5 vp9 clips" not in reasons or "DALI, 2 threads" in reasons
    assert "h264 clips: FFmpeg on the host, because DALI does not decode h264 on a CPU. `sciu-data pack`" in reasons
    why = {zoo.clips.path[clip].rpartition("/")[2]: reason for clip, reason in dali.on_host.items()}
    assert why["sideways.mp4"] in {"it is rotated by 90 degrees", "it is rotated by -90 degrees"}
    assert why["mpeg4.avi"] == "DALI does not decode mpeg4 on a CPU"
    assert not {"vp9.webm", "vp9 444.webm", "vp8 hidden frames.webm", "breit.webm", "顔.mp4"} & set(why)
    assert dali.tally.on_host == len(why)


def test_the_same_on_any_number_of_threads(zoo: Dataset, dali: DaliFeed) -> None:
    plan = plan_of(zoo, augmentation=AUGMENTATIONS["everything"])
    with DaliFeed(dataset=zoo, device=CPU, threads=1) as one:
        assert same(delivered(one, plan), delivered(dali, plan))


@pytest.mark.parametrize("copied", ["vp9", "jpeg"], indirect=True)
@pytest.mark.parametrize("cached", [False, True])
def test_the_files_of_pruned_clips_may_go(copied: Dataset, cached: bool) -> None:
    kept = [clip for clip in range(len(copied)) if clip % 3]
    cache = Cache(64 << 20 if cached else 0)
    with DaliFeed(dataset=copied, device=CPU, cache=cache) as feed:
        assert isinstance(feed, DaliFeed)
        delivered(feed, plan_of(copied, 1))
        opened_a_clip = 8 if copied.kind == "frames" and not cached else 12 if copied.kind == "frames" else 1
        assert feed.tally.files == len(copied) * (opened_a_clip + 1), "once more, at first sight"
        for clip in set(range(len(copied))) - set(kept):
            gone = copied.path(clip)
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        seen = delivered(feed, plan_of(copied, 2, kept))
        assert sorted(seen) == kept
        assert feed.tally.faults == 0
        assert (feed.tally.decoded, feed.tally.cached) == ((0, len(kept)) if cached else (len(kept), 0))
        assert feed.tally.files == (0 if cached else len(kept) * opened_a_clip)
        assert len(cache) == (len(kept) if cached else 0), "pruned clips are evicted"


def test_pixels_are_the_same_with_and_without_the_cache(zoo: Dataset, dali: DaliFeed) -> None:
    with DaliFeed(dataset=zoo, device=CPU, cache=Cache(256 << 20)) as cached:
        for epoch in (1, 2, 3):
            plan = plan_of(zoo, epoch, augmentation=AUGMENTATIONS["everything"])
            assert same(delivered(cached, plan), delivered(dali, plan))
        mixed = [clip for clip in range(len(zoo)) if zoo.clips.path[clip].endswith("sizes differ")]
        assert cached.tally.cached == len(zoo) - len(mixed), "all but the clip that is no one block of pixels"
        assert cached.tally.decoded == len(mixed)


def test_a_small_cache_keeps_what_fits(faces: Dataset) -> None:
    a_clip = 12 * 32 * 32 * 3
    cache = Cache(64 * a_clip)
    with DaliFeed(dataset=faces, device=CPU, cache=cache) as feed:
        cache.budget = 70 * a_clip
        cache.bytes = 60 * a_clip  # as if other clips were cached
        for epoch in (1, 2):
            delivered(feed, plan_of(faces, epoch))
        assert (feed.tally.cached, feed.tally.decoded) == (10, len(faces) - 10)
        assert cache.bytes == 70 * a_clip


def test_clips_that_are_only_looked_at_do_not_stay_in_the_cache(faces: Dataset) -> None:
    """Otherwise a scoring pass or an evaluation over pruned clips would fill it permanently."""
    planner = Planner(dataset=faces, size=SIZE, batch_size=4, sampling=Sampling(frames=8))
    with DaliFeed(dataset=faces, device=CPU, cache=Cache(64 << 20)) as feed:
        assert isinstance(feed, DaliFeed)
        delivered(feed, planner.training(index_of(faces, range(20))))
        delivered(feed, planner.training(index_of(faces, range(10))))
        delivered(feed, planner.testing(np.array([3, 3, *range(28)])))
        assert len(feed.cache) == 28
        delivered(feed, planner.training(index_of(faces, range(10))))
        assert sorted(feed.cache._clips) == [*range(10), *range(20, 28)], "what never trained is a test's"


def test_stopping_in_mid_epoch_keeps_the_books_of_the_cache(faces: Dataset) -> None:
    cache = Cache(64 << 20)
    with DaliFeed(dataset=faces, device=CPU, cache=cache) as feed:
        batches = feed.batches(plan_of(faces))
        next(batches)
        batches.close()
        assert cache.bytes == len(cache) * 12 * 32 * 32 * 3
        delivered(feed, plan_of(faces, 2))
        assert len(cache) == len(faces)


def test_room_is_promised_on_the_feeds_own_stream(faces: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that torch allocates on the training's stream may still be used by work that is queued there."""
    on_it: list[bool] = []

    @contextmanager
    def own_stream() -> Iterator[None]:
        on_it.append(True)
        yield
        on_it.pop()

    cache = Cache(64 << 20)
    promise = cache.promise

    def promised(clip: int, size: int) -> bool:
        assert on_it
        return promise(clip, size)

    monkeypatch.setattr(cache, "promise", promised)
    with DaliFeed(dataset=faces, device=CPU, cache=cache) as feed:
        monkeypatch.setattr(feed, "_own_stream", own_stream)
        delivered(feed, plan_of(faces))
    assert not on_it


def four_clips(place: Path, codec: str) -> Dataset:
    """Clips of one codec, to damage."""
    suffix = {"vp9": ".webm", "jpeg": ".zip"}.get(codec, ".mp4")
    for number in range(4):
        write_clip(place / f"src/train/happy/{number}{suffix}", codec, frames=24)
    return make_dataset(folder.read(place / "src"), place / "data")


@pytest.mark.parametrize("codec", ["vp9", "mjpeg", "h264", "jpeg"])
@pytest.mark.parametrize("share", [0.2, 0.7, 0.97])
def test_a_clip_cut_off_after_it_was_seen(tmp_path: Path, codec: str, share: float) -> None:
    dataset = four_clips(tmp_path, codec)
    with DaliFeed(dataset=dataset, device=CPU, max_faulty=0.5) as feed:
        whole = delivered(feed, plan_of(dataset))
        content = dataset.path(2).read_bytes()
        dataset.path(2).write_bytes(content[: int(len(content) * share)])
        seen = delivered(feed, plan_of(dataset))
        assert set(whole) - set(seen) <= {2}
        assert all(np.array_equal(frames, whole[clip]) for clip, frames in seen.items()), "right or not at all"
        assert set(feed.faults) == set(whole) - set(seen)
        if share < 0.5:
            assert 2 in feed.faults


@pytest.mark.parametrize("codec", ["vp9", "mjpeg", "h264"])
def test_damage_that_keeps_the_size_is_right_or_a_fault(tmp_path: Path, codec: str) -> None:
    """DALI would return black frames for the missing ones."""
    dataset = four_clips(tmp_path, codec)
    with DaliFeed(dataset=dataset, device=CPU, max_faulty=0.5) as feed:
        whole = delivered(feed, plan_of(dataset))
        content = dataset.path(2).read_bytes()
        dataset.path(2).write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
        seen = delivered(feed, plan_of(dataset))
        assert set(feed.faults) == {2}
        assert same(seen, {clip: frames for clip, frames in whole.items() if clip != 2})


def test_too_little_memory_is_not_the_clips_fault(monkeypatch: pytest.MonkeyPatch, frame_faces: Dataset) -> None:
    message = "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."

    def no_memory(*_: object) -> None:
        raise RuntimeError(message)

    with DaliFeed(dataset=frame_faces, device=CPU) as feed:
        assert isinstance(feed, DaliFeed)
        monkeypatch.setattr(feed._files, "read", no_memory)
        with pytest.raises(FeedError, match="can't allocate memory"):
            delivered(feed, plan_of(frame_faces))


def test_what_dali_refuses_the_host_decodes_from_then_on(copied: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip replaced by another codec's: DALI's pipeline breaks once, no clip is lost."""
    from sciu.pipeline.dataset.media.encode import encode_clip

    with DaliFeed(dataset=copied, device=CPU) as feed:
        assert isinstance(feed, DaliFeed)
        delivered(feed, plan_of(copied))
        copied.path(5).write_bytes(encode_clip(copied.read(5, range(12)), "h264"))
        seen = delivered(feed, plan_of(copied, 2))
        assert len(seen) == len(copied)
        assert (feed.tally.on_host, feed.tally.faults) == (1, 0)
        assert len(feed.on_host) == 1
        assert same(delivered(feed, plan_of(copied, 2)), seen)


def test_the_purifiers_list_is_read_by_a_stock_dali_reader(faces: Dataset, tmp_path: Path) -> None:
    from nvidia.dali import fn
    from nvidia.dali.pipeline import Pipeline

    paths = list_paths(faces)
    with Purifier.create(
        tmp_path / "store", labels=faces.labels, num_classes=7, policy=Keep(), paths=paths
    ) as purifier:
        purifier.quarantine([3, 4], "a test")
        purifier.record(np.arange(28), np.ones(28), np.full((28, 7), 1 / 7))
        index = purifier.end_epoch()
        index.write(tmp_path / "index")
    pipeline: Any = Pipeline(batch_size=1, num_threads=1, device_id=None)
    with pipeline:
        reader: Any = fn.experimental.readers.video
        where = str(tmp_path / "index" / "epoch_00002.list")
        pipeline.set_outputs(*reader(file_list=where, sequence_length=1, step=1000))
    pipeline.build()
    seen = [int(np.array(pipeline.run()[1].at(0)).item()) for _ in index.ids]
    assert sorted(seen) == index.ids.tolist() == sorted(set(range(len(faces))) - {3, 4})


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["vp9", "jpeg", "h264"])
@pytest.mark.parametrize("cached", [False, True])
def test_memory_stays_flat_over_fifty_epochs(tmp_path: Path, codec: str, cached: bool) -> None:
    dataset = generate(Synth(clips=140, frames=24, size=64, codec=codec), tmp_path / "faces", silent)
    rng = np.random.default_rng(0)
    with DaliFeed(dataset=dataset, device=CPU, cache=Cache(1 << 30 if cached else 0)) as feed:
        sizes = []
        for epoch in range(1, 51):
            kept = np.sort(rng.permutation(len(dataset))[: len(dataset) * 2 // 3])
            assert len(delivered(feed, plan_of(dataset, epoch, kept, size=64, batch_size=16))) == len(kept)
            sizes.append(resident_bytes())
    assert max(sizes[3:]) < 1.05 * sizes[2], [size >> 20 for size in sizes]


# ---- on a GPU

GPU = torch.device("cuda")
CACHES = {"none": lambda: Cache(0), "gpu": lambda: Cache(1 << 30, "cuda"), "host": lambda: Cache(1 << 30)}


def difference(ours: dict[int, NDArray[np.uint8]], theirs: dict[int, NDArray[np.uint8]]) -> dict[int, float]:
    """The mean absolute difference of pixels, in each clip's worst frame."""
    assert [*ours] == [*theirs]
    return {
        clip: float(np.abs(frames.astype(int) - theirs[clip]).mean(axis=(1, 2, 3)).max())
        for clip, frames in ours.items()
    }


def patterned(frames: int, side: int, number: int) -> list[NDArray[np.uint8]]:
    """A clip with a unique pattern: another clip's pixels differ strongly."""
    coarse = np.random.default_rng(number).integers(0, 200, (5, 5, 3)).repeat(-(-side // 5), 0).repeat(-(-side // 5), 1)
    picture = coarse[:side, :side]
    return [np.clip(picture + 4 * frame, 0, 255).astype(np.uint8) for frame in range(frames)]


@pytest.fixture(scope="module")
def large_zoo(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Clips of a size that NVDEC decodes, of every codec, with all frames different."""
    source = tmp_path_factory.mktemp("large") / "src" / "train" / "happy"
    source.mkdir(parents=True)
    hevc = ("libx265", "mp4", {"x265-params": "log-level=none"})
    videos = {**VIDEOS, "hevc.mp4": (hevc, "yuv420p"), "more.mp4": (H264, "yuv420p")}
    for number, (name, (encoder, pixels)) in enumerate(videos.items()):
        (source / name).write_bytes(encode_video(patterned(40, 160, number), *encoder, pixels=pixels))
    (source / "short.mp4").write_bytes(encode_video(patterned(3, 176, 20), *H264))
    for number in range(3):
        write_frames(source / f"frames {number}", patterned(21, 160, 30 + number))
    return make_dataset(folder.read(source.parents[1]), source.parents[2] / "data")


@pytest.mark.needs_cuda
@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("decode", ["cpu", "gpu"])
@pytest.mark.parametrize("which", ["zoo", "large_zoo"])
def test_on_a_gpu_the_same_plan_gives_the_same_pixels(
    which: str, cache: str, decode: str, request: pytest.FixtureRequest
) -> None:
    clips: Dataset = request.getfixturevalue(which)
    kept = CACHES[cache]()
    with (
        DaliFeed(dataset=clips, device=CPU, threads=2) as reference,
        DaliFeed(dataset=clips, device=GPU, cache=kept, decode=decode, threads=4) as feed,
    ):
        for epoch in (1, 2, 1):
            plan = plan_of(clips, epoch, augmentation=AUGMENTATIONS["everything"])
            for clip, far in difference(delivered(feed, plan), delivered(reference, plan)).items():
                assert far < 8, clips.clips.path[clip]
        assert (feed.tally.cached > 0) == (cache != "none")
        assert not feed.faults
        assert next(feed.batches(plan)).frames_BTHWC.is_cuda


@pytest.mark.needs_cuda
def test_a_warm_device_cache_gives_the_same_bits_as_a_cold_one(large_zoo: Dataset) -> None:
    with DaliFeed(dataset=large_zoo, device=GPU, cache=Cache(1 << 30, "cuda"), threads=4) as feed:
        plan = plan_of(large_zoo, augmentation=AUGMENTATIONS["everything"])
        assert same(delivered(feed, plan), delivered(feed, plan))


@pytest.mark.needs_cuda
@pytest.mark.parametrize("decode", ["cpu", "gpu"])
@pytest.mark.parametrize("cache", CACHES)
def test_a_busy_gpu_does_not_mix_clips_up(
    large_zoo: Dataset, cache: str, decode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work is queued on both streams before every batch, so decoders run far ahead of the readers of their memory."""
    monkeypatch.setattr(
        "sciu.pipeline.feed.decode.dali._MOST_SAMPLES", {"cpu": 1 << 16, "cuda": 16}
    )  # several runs per batch
    plans = [plan_of(large_zoo, epoch, batch_size=2, augmentation=AUGMENTATIONS["resized"]) for epoch in range(1, 5)]
    quiet = [read_in_place(large_zoo, plan, CACHES[cache](), decode, busy=0) for plan in plans]
    with DaliFeed(dataset=large_zoo, device=GPU, cache=CACHES[cache](), decode=decode, threads=4) as feed:
        assert isinstance(feed, DaliFeed)
        for plan, expected in zip(plans, quiet, strict=True):
            found = in_place(feed, plan, busy=20_000_000)
            if decode == "cpu":
                assert same(found, expected)
            else:  # nvJPEG and NVDEC
                apart = difference(found, expected)
                assert max(apart.values()) < 3, {large_zoo.clips.path[clip]: far for clip, far in apart.items() if far}


def read_in_place(dataset: Dataset, plan: Plan, cache: Cache, decode: str, busy: int) -> dict[int, NDArray[np.uint8]]:
    with DaliFeed(dataset=dataset, device=GPU, cache=cache, decode=decode, threads=4) as feed:
        assert isinstance(feed, DaliFeed)
        return in_place(feed, plan, busy)


def in_place(feed: DaliFeed, plan: Plan, busy: int) -> dict[int, NDArray[np.uint8]]:
    """Read batches of two, each written over the previous one, with the GPU busy for some cycles before each."""
    into = ClipBatch(
        torch.zeros(2, dtype=torch.int64, device=GPU), torch.zeros((2, 8, SIZE, SIZE, 3), device=GPU).byte()
    )
    seen = []
    for batch in feed.batches(plan, into=into):
        seen.append((batch.ids.clone(), batch.frames_BTHWC.clone()))
        if busy and feed._gpu is not None:
            torch.cuda._sleep(busy)
            with torch.cuda.stream(feed._gpu.stream):
                torch.cuda._sleep(busy)
    return {clip: made.cpu().numpy() for ids, frames in seen for clip, made in zip(ids.tolist(), frames, strict=True)}


@pytest.mark.needs_cuda
def test_a_warm_epoch_does_not_wait_for_the_gpu(large_zoo: Dataset) -> None:
    """Two epochs of steps are queued while the GPU is still busy with earlier work."""
    with DaliFeed(dataset=large_zoo, device=GPU, cache=Cache(1 << 30, "cuda"), threads=4) as feed:
        for epoch in (1, 2):
            delivered(feed, plan_of(large_zoo, epoch))
        torch.cuda.synchronize()
        torch.cuda._sleep(2_000_000_000)
        busy = torch.cuda.current_stream().record_event()
        for epoch in (3, 4):
            assert sum(len(batch) for batch in feed.batches(plan_of(large_zoo, epoch))) == len(large_zoo)
        assert not busy.query()
