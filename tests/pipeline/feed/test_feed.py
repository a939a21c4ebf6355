"""Feeds execute the same plan on clips of every kind, one epoch at a time; a fault loses one clip."""

from __future__ import annotations

import multiprocessing
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feeding import AUGMENTATIONS, CPU, SIZE, delivered, plan_of, png_bomb, same
from helpers import make_dataset, moving_picture, write_frames
from numpy.typing import NDArray
from PIL import Image

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.importers import folder
from sciu.pipeline.errors import SettingError
from sciu.pipeline.feed.dali_feed import DaliFeed
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.plan.plan import Planner
from sciu.pipeline.feed.plan.sampling import SAMPLINGS, Sampling
from sciu.pipeline.feed.torch_feed import TorchFeed
from sciu.purification import Keep, Purifier


@pytest.mark.parametrize("how", SAMPLINGS)
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_dali_and_torch_agree(zoo: Dataset, dali: DaliFeed, loader: TorchFeed, how: str, name: str) -> None:
    plan = plan_of(zoo, sampling=Sampling(how=how, frames=8), augmentation=AUGMENTATIONS[name])
    ours, theirs = delivered(dali, plan), delivered(loader, plan)
    assert [*ours] == [*theirs] == plan.samples.ids.tolist()
    for clip, frames in ours.items():
        video = zoo.kind_of(clip) == "video"
        difference = np.abs(frames.astype(int) - theirs[clip]).mean()
        assert difference < (8 if video else 3), zoo.clips.path[clip]
    assert dali.tally.decoded == loader.tally.decoded == len(zoo)
    assert dali.tally.frames == loader.tally.frames


def test_the_frames_are_the_planned_ones(zoo: Dataset, dali: DaliFeed) -> None:
    """The middle of a frame encodes its number; the host's reader gives the expected pixels."""
    plan = plan_of(zoo, 3)
    pixels = delivered(dali, plan)
    for row, clip in enumerate(plan.samples.ids.tolist()):
        every = [frame.mean() for frame in zoo.read(clip, range(int(zoo.clips.frames[clip])))]
        if zoo.clips.path[clip].endswith("sizes differ"):
            continue  # brightness differs by more than the number
        seen = pixels[clip].mean(axis=(1, 2, 3))
        squares = [_square(frame).mean() for frame in zoo.read(clip, plan.samples.numbers[row].tolist())]
        assert np.abs(seen - squares).max() < 2.5, (zoo.clips.path[clip], every)


def _square(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frame[top : top + side, left : left + side]


def test_still_images(zoo: Dataset, dali: DaliFeed) -> None:
    plan = plan_of(zoo, sampling=Sampling(frames=1))
    assert {frames.shape for frames in delivered(dali, plan).values()} == {(1, SIZE, SIZE, 3)}


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
    """Otherwise the older epoch's frames would get the newer one's ids."""
    feed = dali if kind == "dali" else loader
    plan, other = plan_of(zoo, 1), plan_of(zoo, 2)
    expected = delivered(feed, other)
    older = feed.batches(plan)
    next(older)
    assert same(delivered(feed, other), expected)
    with pytest.raises(FeedError, match="an epoch cannot continue after its feed has started another epoch"):
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
    with pytest.raises(FeedError, match="or was closed"):
        next(batches)
    with pytest.raises(FeedError, match="this feed is closed"):
        feed.batches(plan_of(faces))


@pytest.mark.parametrize("kind", ["dali", "torch"])
@pytest.mark.parametrize("copied", ["vp9", "jpeg"], indirect=True)
def test_clips_that_go_bad_in_mid_epoch_cost_themselves(copied: Dataset, kind: str, tmp_path: Path) -> None:
    plan = plan_of(copied, batch_size=2)
    *order, deleted, ruined, emptied = plan.samples.ids.tolist()
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


def test_the_limit_is_of_the_plans_own_clips(copied: Dataset) -> None:
    """Faults found in training do not stop a small evaluation at its first fault."""
    with DaliFeed(dataset=copied, device=CPU, max_faulty=0.2) as feed:
        for clip in range(5):
            copied.path(clip).write_bytes(b"nothing of use")
        delivered(feed, plan_of(copied))
        copied.path(9).write_bytes(b"nothing of use")
        assert sorted(delivered(feed, plan_of(copied, ids=range(6, 12)))) == [6, 7, 8, 10, 11]


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
        with pytest.raises(DatasetError, match=r"media folder .* is missing"):
            list(batches)
        copied.media.with_name("elsewhere").rename(copied.media)
        assert len(delivered(feed, plan_of(copied, 2, set(range(len(copied))) - set(feed.faults)))) >= len(copied) - 1


def test_what_the_machine_does_is_not_the_clips_fault(copied: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with DaliFeed(dataset=copied, device=CPU) as feed:
        assert isinstance(feed, DaliFeed)
        monkeypatch.setattr(feed._files, "read", denied)
        with pytest.raises(FeedError, match=r"cannot be read: Permission denied. Fix the disk or its permissions"):
            delivered(feed, plan_of(copied))
        assert feed.faults == {}


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


def test_a_clip_that_is_listed_again_is_tried_again(frame_faces: Dataset) -> None:
    """A user has released it; what no index lists stays known."""
    with _feed("torch", frame_faces) as feed:
        feed.faults.update({3: "cut off", 4: "cut off"})
        assert 3 not in delivered(feed, plan_of(frame_faces))
        feed.try_again(np.array([1, 2, 3]))
        assert feed.faults == {4: "cut off"}
        assert 3 in delivered(feed, plan_of(frame_faces))
