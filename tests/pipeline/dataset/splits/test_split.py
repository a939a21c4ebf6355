"""A dataset that came without a test split gets one, whole or not at all, and remembers how."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import make_dataset, silent

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset import dataset as dataset_module
from sciu.pipeline.dataset.build import listed_table
from sciu.pipeline.dataset.check import check
from sciu.pipeline.dataset.importers import ListedClip, Listing
from sciu.pipeline.dataset.splits.split import Split, drawn, split_clips, split_dataset
from sciu.pipeline.dataset.splits.summary import cautions, straddling, summarise
from sciu.pipeline.dataset.system.files import only_writer
from sciu.pipeline.dataset.table import Categories
from sciu.pipeline.errors import SettingError

CLIPS, CLASSES, PEOPLE = 60, 3, 12


@pytest.fixture
def whole(tmp_path: Path) -> Dataset:
    """A dataset of training clips that nobody probed: three classes, twelve people with five clips each."""
    return saved(tmp_path / "data")


def saved(folder: Path, *, folds: int = 1, group: bool = True) -> Dataset:
    clips = [
        ListedClip(
            f"{k:02d}.mp4", "video", f"c{k % CLASSES}", f"line {k}",
            f"person {k // (CLIPS // PEOPLE)}" if group else None, dict.fromkeys(range(1, folds + 1), "train"),
        )
        for k in range(CLIPS)
    ]  # fmt: skip
    names = [f"c{k}" for k in range(CLASSES)]
    dataset = Dataset(
        folder=folder,
        name="d",
        classes=tuple(names),
        root="media",
        clips=listed_table(clips, names, folds),
        made_by="t",
    )
    dataset.save()
    return Dataset.load(folder)


def marked(dataset: Dataset, bad: list[int]) -> Dataset:
    """The dataset with some clips in quarantine."""
    reasons = ["bad" if clip in bad else None for clip in range(len(dataset))]
    return dataset.save_clips(dataset.clips.replace(quarantine=Categories.of(reasons)))


def people(dataset: Dataset, split: str) -> set[int]:
    return set(dataset.clips.group.codes[dataset.ids(split)].tolist())


def test_it_is_stored_and_belongs_to_the_identity_of_the_dataset(whole: Dataset) -> None:
    """A run of the dataset as it was is not resumed on other clips."""
    split = split_dataset(whole, Split(test=0.25, val=0.25, seed=3))
    found = Dataset.load(whole.folder)
    assert [len(found.ids(name)) for name in ("train", "test", "val")] == [30, 15, 15]
    assert not people(found, "test") & people(found, "train")
    assert not people(found, "val") & (people(found, "train") | people(found, "test"))
    assert found.made_by == "t; split with test 0.25, val 0.25, by group, seed 3"
    assert found.fingerprint == split.fingerprint != whole.fingerprint
    assert drawn(found, Split(test=0.25)) == ["test has 15 of 45 clips (33.3%), 3 of 9 groups"]


def test_by_clip_is_exact_and_may_tear_groups(whole: Dataset) -> None:
    found = split_dataset(whole, Split(test=0.2, by="clip"))
    assert [found.clips.label.counts(found.splits().where("test"))[f"c{k}"] for k in range(CLASSES)] == [4, 4, 4]
    groups = straddling(found, 1)["test"]
    assert groups["clips"] <= 12
    assert cautions(found)[0].startswith(f"{groups['groups']} of 12 groups (people, films, scenes) have clips in train")
    assert summarise(found)["straddling"] == {"test": groups}


def test_groups_that_are_kept_together_are_no_caution(whole: Dataset) -> None:
    found = split_dataset(whole, Split(test=0.25))
    assert (straddling(found, 1), cautions(found)) == ({}, [])


def test_a_second_time_is_refused_unless_it_replaces(whole: Dataset) -> None:
    first = split_dataset(whole, Split(test=0.25))
    with pytest.raises(DatasetError, match="must have no test clips yet, but has 15.*--replace"):
        split_dataset(whole, Split(test=0.4))
    more = split_dataset(whole, Split(val=0.34))
    assert np.array_equal(more.ids("test"), first.ids("test"))
    assert len(more.ids("val")) == 15
    anew = split_dataset(whole, Split(test=0.4, anew=True, by="clip"))
    assert np.array_equal(anew.ids("val"), more.ids("val"))
    assert len(anew.ids("test")) == 18  # of the 45 that are not in val
    assert anew.made_by.count("split with") == 3


def test_folds_are_a_split_already(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"must have one fold, but has 5.*--fold"):
        split_dataset(saved(tmp_path / "data", folds=5), Split(test=0.2, anew=True))


def test_a_clip_in_quarantine_counts_nowhere_and_follows_its_group(whole: Dataset) -> None:
    """It may be released one day, and must not tear its group then."""
    bad = list(range(0, CLIPS, 5))
    found = split_dataset(marked(whole, bad), Split(test=0.25))
    assert len(found.ids("test")) == 12
    released = marked(found, [])
    assert straddling(released, 1) == {}
    assert len(released.ids("test")) == 15


@pytest.mark.parametrize("by", ["group", "clip"])
def test_a_dataset_of_which_no_clip_is_usable_is_refused(whole: Dataset, by: str) -> None:
    """Else val would have 0 of 0 clips, nan%."""
    with pytest.raises(DatasetError, match="must have usable training clips, but has none, and 60 in quarantine"):
        split_dataset(marked(whole, [*range(CLIPS)]), Split(val=0.2, by=by))


def test_a_clip_in_quarantine_without_a_group_stays_a_training_clip(tmp_path: Path) -> None:
    found = split_dataset(marked(saved(tmp_path / "data", group=False), [0, 1, 2]), Split(test=0.5))
    assert marked(found, []).splits()[0] == "train"


def test_clips_without_a_group_are_said(whole: Dataset) -> None:
    some = [f"person {k // 5}" if k >= 6 else None for k in range(CLIPS)]
    clips = split_clips(whole.clips.replace(group=Categories.of(some)), Split(test=0.25))
    told = drawn(replace(whole, clips=clips), Split(test=0.25, anew=True))
    assert told[1] == "6 clips have no group: each was a group of its own"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "--test or --val must be given"),
        ({"test": 0.0}, "--test must be above 0 and below 1, but is 0.0"),
        ({"test": 1.0}, "--test must be above 0 and below 1"),
        ({"val": float("nan")}, "--val must be above 0 and below 1, but is nan"),
        ({"test": 0.5, "val": 0.5}, "--test and --val together must be below 1, but is 1.0"),
        ({"test": 0.5, "seed": -1}, "--seed must be at least 0, but is -1"),
        ({"test": 0.5, "by": "name"}, "--by must be one of group, clip"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Split(**settings)  # type: ignore[arg-type]


def test_by_group_needs_groups(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--by must be clip where no clip has a group"):
        split_dataset(saved(tmp_path / "data", group=False), Split(test=0.2, by="group"))


# ---- in one step


def test_killed_before_the_table_it_is_as_it_was(whole: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "write_table", killed)
        with pytest.raises(InterruptedError):
            split_dataset(whole, Split(test=0.2))
    assert Dataset.load(whole.folder).fingerprint == whole.fingerprint
    assert len(split_dataset(whole, Split(test=0.2)).ids("test"))


def test_killed_after_the_table_it_is_split(whole: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest that waits beside the old one is read in its place, and nothing has to be repaired."""
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace_but_manifest)
        with pytest.raises(InterruptedError):
            split_dataset(whole, Split(test=0.2))
    found = Dataset.load(whole.folder)
    assert found.made_by.startswith("t; split with test 0.2")
    assert len(found.ids("test"))
    with pytest.raises(DatasetError, match="no test clips yet"):
        split_dataset(whole, Split(test=0.2))
    again = split_dataset(whole, Split(test=0.4, anew=True))
    assert files_of(whole.folder) == ["clips.parquet", "dataset.toml"]
    assert Dataset.load(whole.folder).fingerprint == again.fingerprint


def files_of(folder: Path) -> list[str]:
    """The files of a dataset, without the splits that it keeps."""
    return sorted(path.name for path in folder.iterdir() if path.is_file())


_REPLACE = Path.replace


def replace_but_manifest(path: Path, target: Path) -> Path:
    if path.name == ".dataset.toml.next":
        killed()
    return _REPLACE(path, target)


def killed(*_: object) -> None:
    raise InterruptedError


def test_killed_at_any_step_and_again_while_that_is_completed_it_is_as_before_or_split(tmp_path: Path) -> None:
    """A kill may leave a table that fits only the manifest beside the old one: the next split must not lose that."""
    for steps in product(range(_STEPS + 1), repeat=2):
        dataset = saved(tmp_path / "-".join(map(str, steps)))
        for number, lives in enumerate((*steps, _STEPS)):
            before, split = Dataset.load(dataset.folder), Split(test=0.2, by="clip", seed=number, anew=True)
            after = replace(before, clips=split_clips(before.clips, split))
            with pytest.MonkeyPatch.context() as patch, suppress(InterruptedError):
                kill_after(lives, patch)
                split_dataset(dataset, split)
            found = Dataset.load(dataset.folder)
            assert found.fingerprint in (before.fingerprint, after.fingerprint)
            assert (found.made_by == before.made_by) == (found.fingerprint == before.fingerprint)
        assert found.fingerprint == after.fingerprint
        assert files_of(found.folder) == ["clips.parquet", "dataset.toml"]


_STEPS = 7  # renames and removals of a split that completes an interrupted one and keeps what it replaces


def kill_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    """Let only so many renames and removals of files happen, as if the process had ended then."""
    left = iter(range(steps))

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *given, **named: killed() if next(left, None) is None else real(*given, **named)

    patch.setattr(Path, "replace", counted(Path.replace))
    patch.setattr(Path, "unlink", counted(Path.unlink))


def test_a_table_of_another_dataset_is_not_taken_for_a_split(whole: Dataset, tmp_path: Path) -> None:
    other = split_dataset(saved(tmp_path / "other"), Split(test=0.2))
    (whole.folder / "clips.parquet").write_bytes((other.folder / "clips.parquet").read_bytes())
    with pytest.raises(DatasetError, match="does not match"):
        Dataset.load(whole.folder)


def test_a_writer_at_work_is_not_disturbed(whole: Dataset) -> None:
    with only_writer(whole.folder / "dataset.toml"), pytest.raises(DatasetError, match="being written by another"):
        split_dataset(whole, Split(test=0.2))


def test_a_lock_on_a_manifest_that_was_replaced_meanwhile_is_none(whole: Dataset) -> None:
    """Else two writers hold a lock each, one of the old file and one of the new."""
    manifest = whole.folder / "dataset.toml"

    def lock(*_: object) -> None:
        (whole.folder / "new").touch()
        (whole.folder / "new").replace(manifest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fcntl.flock", lock)
        with pytest.raises(DatasetError, match="being written by another"), only_writer(manifest):
            pass


def test_a_check_that_began_before_keeps_the_split(faces: Dataset, tmp_path: Path) -> None:
    """It writes the same table: it must not write what it read before the other was done."""
    listing = Listing(name="d", root=faces.media)
    for clip in range(len(faces)):
        listing.add(ListedClip(faces.clips.path[clip], "video", faces.clips.label[clip] or "", f"line {clip}"), "train")
    before = make_dataset(listing, tmp_path / "data")
    split_dataset(before, Split(test=0.5))
    checked, _ = check(before, "probe", silent)
    assert len(checked.ids("test")) == len(Dataset.load(before.folder).ids("test")) == 14
