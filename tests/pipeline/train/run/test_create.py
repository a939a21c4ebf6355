"""Which clips a new run trains on, chooses by and is tested on; it is refused before anything is built."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import without_groups
from small_runs import opened_run

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset.splits.split import Split, split_clips
from sciu.pipeline.dataset.table import SPLITS, Categories
from sciu.pipeline.errors import SettingError
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.run.create import choose_clips


@pytest.fixture
def ungrouped(faces: Dataset, tmp_path: Path) -> Dataset:
    return without_groups(faces, tmp_path / "ungrouped")


def with_split(dataset: Dataset, names: list[str | None]) -> Dataset:
    return replace(dataset, clips=dataset.clips.replace(folds=(Categories.of(names, SPLITS),)))


def test_without_validation_all_training_clips_train(faces: Dataset) -> None:
    clips = choose_clips(Settings(), faces)
    assert np.array_equal(np.flatnonzero(clips.labels >= 0), faces.ids("train"))
    assert len(clips.held_out) == 0


def test_validation_clips_are_exact_and_of_every_class_and_do_not_train(ungrouped: Dataset) -> None:
    clips = choose_clips(Settings(validation=0.5), ungrouped)
    assert len(clips.held_out) == 11  # of 21
    assert (np.bincount(ungrouped.labels[clips.held_out], minlength=7) >= 1).all()
    trained = np.flatnonzero(clips.labels >= 0)
    assert np.array_equal(np.union1d(trained, clips.held_out), ungrouped.ids("train"))
    assert not np.intersect1d(trained, clips.held_out).size
    assert set(choose_clips(Settings(validation=0.5, seed=1), ungrouped).held_out) != set(clips.held_out)


def test_a_share_that_holds_out_no_clip_of_a_class_is_refused(ungrouped: Dataset) -> None:
    with pytest.raises(SettingError, match=r"validation must hold out a clip of each of 7 .* Give at least 0\.334"):
        choose_clips(Settings(validation=0.01), ungrouped)


def test_groups_are_held_out_whole_or_not_at_all(faces: Dataset) -> None:
    people = Categories.of([f"person {clip // 7}" for clip in range(len(faces))])
    labels = Categories.of([faces.classes[clip % 7] for clip in range(28)], faces.classes)
    data = replace(faces, clips=faces.clips.replace(group=people, label=labels))  # each person has every expression
    train = with_split(data, ["test" if clip < 7 else "train" for clip in range(len(data))])
    held_out = choose_clips(Settings(validation=0.35), train).held_out
    assert len(held_out) == 7
    assert len(np.unique(people.codes[held_out])) == 1
    with pytest.raises(DatasetError, match="to be divided into 2"):
        choose_clips(Settings(validation=0.5), faces)  # ten clips of one person and four of another


def test_val_clips_of_the_dataset_choose_the_best_epoch(ungrouped: Dataset) -> None:
    data = replace(ungrouped, clips=split_clips(ungrouped.clips, Split(val=0.5)))
    assert np.array_equal(choose_clips(Settings(), data).held_out, data.ids("val"))


def test_validation_beside_val_clips_of_the_dataset_is_refused(ungrouped: Dataset) -> None:
    """It was ignored without a word."""
    data = replace(ungrouped, clips=split_clips(ungrouped.clips, Split(val=0.5)))
    with pytest.raises(
        RunError, match=r"validation must be 0 where .* val clips of its own, 11 in fold 1, but is 0\.3"
    ):
        choose_clips(Settings(validation=0.3), data)


@pytest.mark.parametrize(
    ("names", "bad", "message"),
    [
        (["train"] * 28, [], r"must have test clips in fold 1, but has none. .*sciu-data split .* --test 0\.2"),
        (["train"] * 21 + ["test"] * 7, range(21, 28), "all 7 test clips of fold 1 are in quarantine"),
        (["train"] * 6 + ["test"] * 22, [], "class 'fear' must have clips to train on, but has none in fold 1"),
    ],
    ids=["no test clips", "test clips in quarantine", "a class without training clips"],
)
def test_what_cannot_be_trained_on_is_refused_with_the_remedy(
    ungrouped: Dataset, names: list[str | None], bad: Any, message: str
) -> None:
    data = with_split(ungrouped, names)
    marks = Categories.of(["bad" if clip in bad else None for clip in range(28)])
    labels = Categories.of([data.classes[clip % 7] for clip in range(28)], data.classes)
    with pytest.raises(RunError, match=message):
        choose_clips(Settings(), replace(data, clips=data.clips.replace(quarantine=marks, label=labels)))


def test_clips_of_one_class_are_refused_however_many_are_named(ungrouped: Dataset) -> None:
    labels = Categories.of(["sad"] * 28, ungrouped.classes)
    with pytest.raises(RunError, match=r"at least two classes to tell apart, but has only \['sad'\]"):
        choose_clips(Settings(), replace(ungrouped, clips=ungrouped.clips.replace(label=labels)))


# ---- a run


def test_it_is_refused_before_the_network_is_built(ungrouped: Dataset, tmp_path: Path) -> None:
    run = opened_run(ungrouped, tmp_path / "run", validation=0.01, backbone="no_such_module:Net")
    with pytest.raises(SettingError, match="validation must hold out"), run:
        pass
    assert not (tmp_path / "run").exists()


def test_what_is_held_out_is_said(ungrouped: Dataset, tmp_path: Path) -> None:
    told: list[str] = []
    with opened_run(ungrouped, tmp_path / "run", validation=0.5, say=told.append) as run:
        assert len(run.held_out) == 11
    assert "validation: 11 of 21 training clips choose the best epoch instead" in told


def test_a_run_of_an_earlier_version_keeps_the_clips_that_it_held_out(ungrouped: Dataset, tmp_path: Path) -> None:
    """They were drawn clip by clip by a hash, and may lack classes; the card decides, nothing is drawn again."""
    with opened_run(ungrouped, tmp_path / "run", validation=0.5):
        pass
    card = json.loads((tmp_path / "run/run.json").read_text())
    before = sorted(ungrouped.ids("train").tolist())[:3]
    assert card["held_out"] != before
    card["held_out"], card["settings"]["validation"] = before, 0.01
    (tmp_path / "run/run.json").write_text(json.dumps(card))
    with opened_run(ungrouped, tmp_path / "run", validation=0.01) as run:
        assert run.held_out.tolist() == before
