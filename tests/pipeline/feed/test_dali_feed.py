"""Both feeds execute the same plan on clips of every kind; faults cost one clip; what is pruned is not touched."""

from __future__ import annotations

import multiprocessing
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from feeding import delivered, index_of, make_zoo, png_bomb, resident_bytes
from helpers import make_dataset, moving_picture, silent, write_clip, write_frames
from numpy.typing import NDArray
from PIL import Image

from sciu.pipeline.dataset import Dataset, DatasetError, list_paths
from sciu.pipeline.dataset.errors import SettingError
from sciu.pipeline.dataset.importers import folder
from sciu.pipeline.dataset.synth import Synth, generate
from sciu.pipeline.feed.augmentation import Augmentation
from sciu.pipeline.feed.cache import Cache
from sciu.pipeline.feed.dali_feed import DaliFeed
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.plan import Plan, Planner
from sciu.pipeline.feed.sampling import HOWS, Sampling
from sciu.pipeline.feed.synthetic_feed import SyntheticFeed
from sciu.pipeline.feed.torch_feed import TorchFeed, _Executor
from sciu.purification import Keep, Purifier

CPU = torch.device("cpu")
SIZE = 32
PLAIN = Augmentation(crop="centre", flip=0)
AUGMENTATIONS = {
    "plain": PLAIN,
    "resized": Augmentation(),
    "shifted": Augmentation(crop="shifted"),
    "everything": Augmentation(rotation=8, brightness=0.3, contrast=0.3),
}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def dali(zoo: Dataset) -> Iterator[DaliFeed]:
    with DaliFeed(dataset=zoo, device=CPU, threads=2) as feed:
        assert isinstance(feed, DaliFeed)
        yield feed


@pytest.fixture(scope="module")
def loader(zoo: Dataset) -> Iterator[TorchFeed]:
    with TorchFeed(dataset=zoo, device=CPU, size=SIZE, threads=1) as feed:
        assert isinstance(feed, TorchFeed)
        yield feed


@pytest.fixture
def copied(faces: Dataset, frame_faces: Dataset, request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    """Clips that may be destroyed, as videos or as folders of frames."""
    source = frame_faces if getattr(request, "param", "vp9") == "jpeg" else faces
    shutil.copytree(source.folder, tmp_path / "data")
    return Dataset.load(tmp_path / "data")


def plan_of(dataset: Dataset, epoch: int = 1, ids: Any = None, **settings: Any) -> Plan:
    given = {"size": SIZE, "batch_size": 4, "sampling": Sampling(frames=8), "augmentation": PLAIN}
    return Planner(dataset=dataset, **{**given, **settings}).training(index_of(dataset, ids, epoch))


def same(a: dict[int, NDArray[np.uint8]], b: dict[int, NDArray[np.uint8]]) -> bool:
    return [*a] == [*b] and all(np.array_equal(a[clip], b[clip]) for clip in a)


# ---- the same plan, the same pixels


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_dali_and_torch_agree(zoo: Dataset, dali: DaliFeed, loader: TorchFeed, how: str, name: str) -> None:
    plan = plan_of(zoo, sampling=Sampling(how=how, frames=8), augmentation=AUGMENTATIONS[name])
    ours, theirs = delivered(dali, plan), delivered(loader, plan)
    assert [*ours] == [*theirs] == plan.views.ids.tolist()
    for clip, frames in ours.items():
        video = zoo.kind_of(clip) == "video"
        difference = np.abs(frames.astype(int) - theirs[clip]).mean()
        assert difference < (8 if video else 3), zoo.clips.path[clip]
    assert dali.tally.decoded == loader.tally.decoded == len(zoo)
    assert dali.tally.frames == loader.tally.frames


def test_the_frames_are_the_planned_ones(zoo: Dataset, dali: DaliFeed) -> None:
    """The middle of a frame says its number; the host's reader knows the truth."""
    plan = plan_of(zoo, 3)
    pixels = delivered(dali, plan)
    for row, clip in enumerate(plan.views.ids.tolist()):
        every = [frame.mean() for frame in zoo.read(clip, range(int(zoo.clips.frames[clip])))]
        if zoo.clips.path[clip].endswith("sizes differ"):
            continue  # brightness differs by more than the number
        seen = pixels[clip].mean(axis=(1, 2, 3))
        squares = [_square(frame).mean() for frame in zoo.read(clip, plan.views.numbers[row].tolist())]
        assert np.abs(seen - squares).max() < 2.5, (zoo.clips.path[clip], every)


def _square(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frame[top : top + side, left : left + side]


def test_who_decodes_what_is_told_with_the_reason(zoo: Dataset, dali: DaliFeed) -> None:
    delivered(dali, plan_of(zoo))
    reasons = "\n".join(dali.reasons)
    assert "3 mjpeg clips: DALI" not in reasons
    assert "5 vp9 clips" not in reasons or "DALI, 2 threads" in reasons
    assert "h264 clips: FFmpeg on the host, because DALI decodes no h264 on a CPU. `sciu-data pack`" in reasons
    why = {zoo.clips.path[clip].rpartition("/")[2]: reason for clip, reason in dali.on_host.items()}
    assert why["sideways.mp4"] in {"it is to be turned by 90 degrees", "it is to be turned by -90 degrees"}
    assert why["mpeg4.avi"] == "DALI decodes no mpeg4 on a CPU"
    assert not {"vp9.webm", "vp9 444.webm", "vp8 hidden frames.webm", "breit.webm", "顔.mp4"} & set(why)
    assert dali.tally.on_host == len(why)


def test_the_same_on_any_number_of_threads(zoo: Dataset, dali: DaliFeed) -> None:
    plan = plan_of(zoo, augmentation=AUGMENTATIONS["everything"])
    with DaliFeed(dataset=zoo, device=CPU, threads=1) as one:
        assert same(delivered(one, plan), delivered(dali, plan))


def test_still_images(zoo: Dataset, dali: DaliFeed) -> None:
    plan = plan_of(zoo, sampling=Sampling(frames=1))
    assert {frames.shape for frames in delivered(dali, plan).values()} == {(1, SIZE, SIZE, 3)}


def test_synthetic_clips_have_the_plans_shape_and_touch_nothing(zoo: Dataset) -> None:
    plan = plan_of(zoo, ids=range(7))
    with SyntheticFeed(dataset=zoo, device=CPU) as feed:
        batches = list(feed.batches(plan))
    assert [batch.ids.tolist() for batch in batches] == [plan.step(k).ids.tolist() for k in range(2)]
    assert [tuple(batch.frames_BTHWC.shape) for batch in batches] == [(4, 8, SIZE, SIZE, 3), (3, 8, SIZE, SIZE, 3)]
    assert feed.tally.files == feed.tally.decoded == 0
    assert feed.tally.clips == 7


# ---- steps, positions, ranks


@pytest.mark.parametrize("kind", ["dali", "torch"])
def test_stop_in_mid_epoch_and_go_on_at_a_position(zoo: Dataset, dali: DaliFeed, loader: TorchFeed, kind: str) -> None:
    feed = dali if kind == "dali" else loader
    plan = plan_of(zoo, 5)
    whole = delivered(feed, plan)
    for stop in (1, 3):
        batches = feed.batches(plan)
        began = [next(batches) for _ in range(stop)]
        seen = [clip for batch in began for clip in batch.ids.tolist()]
        batches.close()
        rest = delivered(feed, plan, stop)
        assert [*seen, *rest] == [*whole]
        assert all(np.array_equal(frames, whole[clip]) for clip, frames in rest.items())
    with pytest.raises(SettingError, match=f"start must be 0 to {plan.steps}, but is 99"):
        next(feed.batches(plan, 99))


def test_a_rank_without_clips_takes_as_many_steps(zoo: Dataset, dali: DaliFeed) -> None:
    ids = [0, 5, 9]
    plans = [plan_of(zoo, ids=ids, rank=rank, world=4, batch_size=1) for rank in range(4)]
    batches = [list(dali.batches(plan)) for plan in plans]
    assert [len(rank) for rank in batches] == [1, 1, 1, 1]
    assert [len(rank[0]) for rank in batches] == [1, 1, 1, 0]
    assert batches[3][0].frames_BTHWC.shape == (0, 8, SIZE, SIZE, 3)


def test_batches_are_not_overwritten_by_later_ones(zoo: Dataset, dali: DaliFeed) -> None:
    plan = plan_of(zoo)
    kept = list(dali.batches(plan))
    expected = delivered(dali, plan)
    for batch in kept:
        for clip, frames in zip(batch.ids.tolist(), batch.frames_BTHWC.numpy(), strict=True):
            assert np.array_equal(frames, expected[clip])


@pytest.mark.parametrize("kind", ["dali", "torch"])
def test_a_feed_reads_one_epoch_at_a_time(zoo: Dataset, dali: DaliFeed, loader: TorchFeed, kind: str) -> None:
    """Else the older epoch's frames would come under the newer one's ids."""
    feed = dali if kind == "dali" else loader
    plan, other = plan_of(zoo, 1), plan_of(zoo, 2)
    expected = delivered(feed, other)
    older = feed.batches(plan)
    next(older)
    assert same(delivered(feed, other), expected)
    with pytest.raises(FeedError, match="an epoch cannot go on after another one was begun on its feed"):
        next(older)
    with pytest.raises(FeedError, match="is of another dataset than 'src'"):
        feed.batches(replace(plan, dataset="0123"))
    assert same(delivered(feed, other), expected)


@pytest.mark.parametrize("kind", ["dali", "torch"])
def test_a_closed_feed_lets_go_and_says_so(faces: Dataset, kind: str) -> None:
    before = set(multiprocessing.active_children())
    feed = _feed(kind, faces)
    batches = feed.batches(plan_of(faces))
    next(batches)
    workers = set(multiprocessing.active_children()) - before
    assert bool(workers) == (kind == "torch")
    feed.close()
    for worker in workers:
        worker.join(10)
        assert not worker.is_alive()
    with pytest.raises(FeedError, match="or the feed was closed"):
        next(batches)
    with pytest.raises(FeedError, match="this feed is closed"):
        feed.batches(plan_of(faces))


# ---- what is pruned is not touched


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


# ---- the cache


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
        cache.bytes = 60 * a_clip  # as if others were there
        for epoch in (1, 2):
            delivered(feed, plan_of(faces, epoch))
        assert (feed.tally.cached, feed.tally.decoded) == (10, len(faces) - 10)
        assert cache.bytes == 70 * a_clip


def test_clips_that_are_only_looked_at_do_not_stay_in_the_cache(faces: Dataset) -> None:
    """A scoring pass or an evaluation over pruned clips would fill it for good."""
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


# ---- faults


@pytest.mark.parametrize("kind", ["dali", "torch"])
@pytest.mark.parametrize("copied", ["vp9", "jpeg"], indirect=True)
def test_clips_that_go_bad_in_mid_epoch_cost_themselves(copied: Dataset, kind: str, tmp_path: Path) -> None:
    plan = plan_of(copied, batch_size=2)
    *order, deleted, ruined, emptied = plan.views.ids.tolist()
    with _feed(kind, copied, max_faulty=0.2) as feed:
        batches = feed.batches(plan)
        seen = next(batches).ids.tolist()
        for clip, content in ((deleted, None), (ruined, b"junk " * 400), (emptied, b"")):
            _ruin(copied.path(clip), content)
        for batch in batches:
            seen += batch.ids.tolist()
        assert seen == order
        assert set(feed.faults) == {deleted, ruined, emptied}
        assert feed.tally.faults == 3
        assert all(reason and "\n" not in reason for reason in feed.faults.values())
        if copied.kind == "video":
            assert feed.faults[deleted] == "is missing"
        with Purifier.create(tmp_path / "store", labels=copied.labels, num_classes=7, policy=Keep()) as purifier:
            for clip, reason in feed.faults.items():
                purifier.quarantine([clip], reason)
            purifier.record(np.array(seen), np.ones(len(seen)), np.full((len(seen), 7), 1 / 7))
            index = purifier.end_epoch()
        again = Planner(dataset=copied, size=SIZE, batch_size=4, sampling=Sampling(frames=8)).training(index)
        assert sorted(delivered(feed, again)) == sorted(seen)
        assert feed.tally.faults == 0
        assert sorted(delivered(feed, plan_of(copied, 2))) == sorted(seen), "an old index does not bring them back"
        assert feed.tally.faults == 0


def _feed(kind: str, dataset: Dataset, **settings: Any) -> DaliFeed | TorchFeed:
    if kind == "dali":
        return DaliFeed(dataset=dataset, device=CPU, **settings)
    return TorchFeed(dataset=dataset, device=CPU, size=SIZE, threads=1, **settings)


def _ruin(path: Path, content: bytes | None) -> None:
    """Delete a clip, or replace its file, or all files of its folder."""
    if content is None:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return
    for file in path.iterdir() if path.is_dir() else [path]:
        file.write_bytes(content)


@pytest.mark.parametrize("codec", ["vp9", "mjpeg", "h264", "jpeg"])
@pytest.mark.parametrize("share", [0.2, 0.7, 0.97])
def test_a_clip_cut_off_after_it_was_seen(tmp_path: Path, codec: str, share: float) -> None:
    suffix = {"vp9": ".webm", "jpeg": ".zip"}.get(codec, ".mp4")
    for number in range(4):
        write_clip(tmp_path / f"src/train/happy/{number}{suffix}", codec, frames=24)
    dataset = make_dataset(folder.read(tmp_path / "src"), tmp_path / "data")
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


def test_the_limit_is_of_the_plans_own_clips(copied: Dataset) -> None:
    """Faults of training do not stop a small evaluation at its first one."""
    with DaliFeed(dataset=copied, device=CPU, max_faulty=0.2) as feed:
        for clip in range(5):
            copied.path(clip).write_bytes(b"nothing of use")
        delivered(feed, plan_of(copied))
        copied.path(9).write_bytes(b"nothing of use")
        assert sorted(delivered(feed, plan_of(copied, ids=range(6, 12)))) == [6, 7, 8, 10, 11]


@pytest.mark.parametrize("codec", ["vp9", "mjpeg", "h264"])
def test_damage_that_keeps_the_size_is_right_or_a_fault(tmp_path: Path, codec: str) -> None:
    """DALI would give black frames for what is missing."""
    suffix = ".webm" if codec == "vp9" else ".mp4"
    for number in range(4):
        write_clip(tmp_path / f"src/train/happy/{number}{suffix}", codec, frames=24)
    dataset = make_dataset(folder.read(tmp_path / "src"), tmp_path / "data")
    with DaliFeed(dataset=dataset, device=CPU, max_faulty=0.5) as feed:
        whole = delivered(feed, plan_of(dataset))
        content = dataset.path(2).read_bytes()
        dataset.path(2).write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
        seen = delivered(feed, plan_of(dataset))
        assert set(feed.faults) == {2}
        assert same(seen, {clip: frames for clip, frames in whole.items() if clip != 2})


def test_a_picture_that_claims_to_be_huge_costs_itself(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"src/train/happy/{number}").mkdir(parents=True)
        Image.fromarray(moving_picture(1)[0]).save(tmp_path / f"src/train/happy/{number}/1.png")
    dataset = make_dataset(folder.read(tmp_path / "src"), tmp_path / "data")
    (dataset.path(3) / "1.png").write_bytes(png_bomb())
    for kind in ("dali", "torch"):
        with _feed(kind, dataset) as feed:
            assert sorted(delivered(feed, plan_of(dataset))) == [0, 1, 2, 4, 5]
            assert set(feed.faults) == {3}


def test_folders_may_mix_jpeg_and_png(tmp_path: Path) -> None:
    frames = moving_picture(6)
    write_frames(tmp_path / "src/train/happy/mixed", frames)
    for number in (2, 4):
        (tmp_path / f"src/train/happy/mixed/{number}.jpg").unlink()
        Image.fromarray(frames[number - 1]).save(tmp_path / f"src/train/happy/mixed/{number}.png")
    dataset = make_dataset(folder.read(tmp_path / "src"), tmp_path / "data")
    with _feed("dali", dataset) as ours, _feed("torch", dataset) as theirs:
        assert same(delivered(ours, plan_of(dataset)), delivered(theirs, plan_of(dataset)))
        assert ours.tally.files - 1 == theirs.tally.files == 6


def test_too_many_bad_clips_stop_the_run(copied: Dataset) -> None:
    with DaliFeed(dataset=copied, device=CPU, max_faulty=0.1) as feed:
        for clip in range(3, 9):
            copied.path(clip).write_bytes(b"nothing of use")
        with pytest.raises(FeedError, match=r"at most 10.0% of the clips may be bad, but 4 are: .*--max-faulty"):
            delivered(feed, plan_of(copied))


def test_lost_media_are_not_thousands_of_bad_clips(copied: Dataset) -> None:
    with DaliFeed(dataset=copied, device=CPU, max_faulty=1.0) as feed:
        batches = feed.batches(plan_of(copied))
        next(batches)
        copied.media.rename(copied.media.with_name("elsewhere"))
        with pytest.raises(DatasetError, match=r"media folder .* is not there"):
            list(batches)
        copied.media.with_name("elsewhere").rename(copied.media)
        assert len(delivered(feed, plan_of(copied, 2, set(range(len(copied))) - set(feed.faults)))) >= len(copied) - 1


def test_what_the_machine_does_is_not_the_clips_fault(copied: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with DaliFeed(dataset=copied, device=CPU) as feed:
        assert isinstance(feed, DaliFeed)
        monkeypatch.setattr(feed._files, "read", denied)
        with pytest.raises(FeedError, match=r"cannot be read: Permission denied. Mend the disk or its permissions"):
            delivered(feed, plan_of(copied))
        assert feed.faults == {}


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
    from sciu.pipeline.dataset.encode import encode_clip

    with DaliFeed(dataset=copied, device=CPU) as feed:
        assert isinstance(feed, DaliFeed)
        delivered(feed, plan_of(copied))
        copied.path(5).write_bytes(encode_clip(copied.read(5, range(12)), "h264"))
        seen = delivered(feed, plan_of(copied, 2))
        assert len(seen) == len(copied)
        assert (feed.tally.on_host, feed.tally.faults) == (1, 0)
        assert len(feed.on_host) == 1
        assert same(delivered(feed, plan_of(copied, 2)), seen)


def test_a_worker_that_dies_is_told_in_one_line(zoo: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with TorchFeed(dataset=zoo, device=CPU, size=SIZE, threads=1) as feed:
        assert isinstance(feed, TorchFeed)
        batches = feed.batches(plan_of(zoo, batch_size=1))
        next(batches)
        feed._loader._iterator._workers[0].kill()  # type: ignore[union-attr]
        with pytest.raises(FeedError, match="a worker process died or hangs: .* Fewer workers"):
            list(batches)


def test_workers_end_with_a_command_that_was_killed(faces: Dataset) -> None:
    code = f"import sys; sys.path.insert(0, 'tests'); import feeding; feeding.wait_in_mid_epoch({str(faces.folder)!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        workers = [int(pid) for pid in command.stdout.readline().split()]
        command.kill()
    assert len(workers) == 2
    for _ in range(100):
        if not any(Path(f"/proc/{pid}").exists() for pid in workers):
            return
        time.sleep(0.1)
    pytest.fail("workers outlive their command")


def test_full_shared_memory_is_told_before_torch_loses_a_batch(monkeypatch: pytest.MonkeyPatch, faces: Dataset) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(64, 64, 0))
    answer = _Executor(faces, SIZE)[plan_of(faces).step(0)]
    assert isinstance(answer, FeedError)
    assert "/dev/shm must have 98,304 bytes free for a batch, but has 0." in str(answer)


# ---- settings


def test_a_missing_media_folder_is_told_at_once(copied: Dataset) -> None:
    gone = replace(copied, root="/no/such/place")
    with pytest.raises(DatasetError, match="media folder '/no/such/place'"):
        DaliFeed(dataset=gone, device=CPU)


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"threads": -1}, "threads must be at least 0"), ({"max_faulty": 2.0}, "max faulty must be 0 to 1, but is 2.0")],
)
def test_settings_that_make_no_sense_are_refused(faces: Dataset, setting: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        DaliFeed(dataset=faces, device=CPU, **setting)


# ---- beside DALI's own readers


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


# ---- in the long run


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


@pytest.mark.needs_cuda
def test_on_a_gpu_the_same_plan_gives_the_same_pixels(zoo: Dataset, dali: DaliFeed) -> None:
    with DaliFeed(dataset=zoo, device=torch.device("cuda"), cache=Cache(1 << 30, "cuda")) as feed:
        for epoch in (1, 2):
            plan = plan_of(zoo, epoch, augmentation=AUGMENTATIONS["everything"])
            ours, theirs = delivered(feed, plan), delivered(dali, plan)
            assert [*ours] == [*theirs]
            for clip, frames in ours.items():
                assert np.abs(frames.astype(int) - theirs[clip]).mean() < 8, zoo.clips.path[clip]
        assert next(feed.batches(plan)).frames_BTHWC.is_cuda
