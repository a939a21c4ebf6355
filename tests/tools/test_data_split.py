"""`sciu-data split`, and imports with `--test`: the smallest list can be trained on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer
from shared import copy_of
from training import train

from sciu.pipeline.dataset import Dataset

Sciu = Callable[..., Answer]


@pytest.fixture
def clips_csv(frame_faces: Dataset, tmp_path: Path) -> Path:
    """The smallest list, `path,label`."""
    names = [frame_faces.clips.label[clip] for clip in range(len(frame_faces))]
    rows = [f"{frame_faces.path(clip)},{name}" for clip, name in enumerate(names)]
    (tmp_path / "clips.csv").write_text("path,label\n" + "\n".join(rows))
    return tmp_path / "clips.csv"


def test_the_smallest_list_is_told_how_to_become_trainable(sciu: Sciu, clips_csv: Path, tmp_path: Path) -> None:
    """Import, refusal, the command that the refusal names, training."""
    data = tmp_path / "data"
    imported = sciu("data", "import", "csv", clips_csv, "--out", data)
    assert (
        f"Note: fold 1 has no test clips, which a training needs: `sciu-data split {data} --test 0.2`" in imported.out
    )
    refused = train(sciu, data, tmp_path / "run")
    assert (
        f"must have test clips in fold 1, but has none. Draw some: `sciu-data split {data} --test 0.2`"
        in refused.error()
    )
    assert not (tmp_path / "run").exists()
    answer = sciu("data", "split", data, "--test", 0.25, "--val", 0.25, "--seed", 1, "--json")
    assert answer.json["split"] == {"test": 0.25, "val": 0.25, "by": None, "seed": 1, "anew": False}
    assert {split: sum(counts.values()) for split, counts in answer.json["splits"].items()} == {
        "train": 14, "test": 7, "val": 7
    }  # fmt: skip
    done = train(sciu, data, tmp_path / "run", "--json")
    assert (done.code, done.json["best_chosen_on"]) == (0, "validation"), done.err
    assert len(json.loads((tmp_path / "run/run.json").read_text())["held_out"]) == 7


@pytest.mark.parametrize("kind", ["csv", "folder"])
def test_an_import_draws_the_same_split(
    sciu: Sciu, frame_faces: Dataset, clips_csv: Path, tmp_path: Path, kind: str
) -> None:
    source = clips_csv
    if kind == "folder":
        source = tmp_path / "source"
        for clip in range(len(frame_faces)):
            shutil.copytree(frame_faces.path(clip), source / (frame_faces.clips.label[clip] or "") / str(clip))
    at_once = sciu("data", "import", kind, source, "--out", tmp_path / "once", "--test", 0.25, "--seed", 2, "--json")
    assert at_once.code == 0, at_once.err
    assert "test has 7 of 28 clips (25.0%)" in at_once.json["notes"]
    if kind == "csv":
        sciu("data", "import", kind, source, "--out", tmp_path / "later")
        assert sciu("data", "split", tmp_path / "later", "--test", 0.25, "--seed", 2).code == 0
        assert Dataset.load(tmp_path / "later").fingerprint == at_once.json["fingerprint"]
    assert Dataset.load(tmp_path / "once").made_by.endswith("; split with test 0.25, by clip, seed 2")


def test_a_split_of_people_says_what_it_came_to(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    data = copy_of(frame_faces.folder, tmp_path / "data")
    answer = sciu("data", "split", data, "--test", 0.4, "--replace", "--by", "group")
    assert answer.code == 0, answer.err
    assert "Note: test has" in answer.out
    assert "groups" in answer.out


def test_people_in_train_and_test_are_said_by_import_info_and_training(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path
) -> None:
    data = copy_of(frame_faces.folder, tmp_path / "data")
    sciu("data", "split", data, "--test", 0.5, "--replace", "--by", "clip")
    torn = Dataset.load(data)
    rows = [
        f"{torn.path(clip)},{torn.clips.label[clip]},{torn.splits()[clip]},{torn.clips.group[clip]}"
        for clip in range(len(torn))
    ]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    imported = sciu("data", "import", "csv", tmp_path / "list.csv", "--out", tmp_path / "again")
    told = "groups (people, films, scenes) have clips in train and in test, "
    assert told in imported.out
    assert told in sciu("data", "info", data).out
    assert told in sciu("data", "info", data, "--json").json["notes"][0]
    assert told in train(sciu, data, tmp_path / "run").err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["split", "{data}"], 2, "--test or --val must be given"),
        (["split", "{data}", "--test", "nan"], 2, "--test must be above 0 and below 1, but is nan"),
        (["split", "{data}", "--test", "0.2"], 3, "must have no test clips yet, but has 7"),
        (["split", "{tmp}/nowhere", "--test", "0.2"], 3, "no dataset in"),
        (["import", "csv", "{csv}", "--out", "{tmp}/out", "--by", "clip"], 2, "--test or --val must be given"),
        (
            ["import", "csv", "{csv}", "--out", "{tmp}/out", "--test", "0.01"],
            2,
            "test must hold out a clip of each of 7",
        ),
        (["import", "csv", "{csv}", "--out", "{tmp}/out", "--test", "0.2", "--by", "group"], 2, "--by must be clip"),
    ],
)
def test_mistakes_get_one_line_and_change_nothing(
    sciu: Sciu, frame_faces: Dataset, clips_csv: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    before = (frame_faces.folder / "dataset.toml").read_bytes()
    answer = sciu("data", *(each.format(data=frame_faces.folder, tmp=tmp_path, csv=clips_csv) for each in arguments))
    assert (answer.code, message in answer.error()) == (code, True), answer.err
    assert (frame_faces.folder / "dataset.toml").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips.csv"]


def test_a_run_is_not_resumed_on_another_split(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    data = copy_of(frame_faces.folder, tmp_path / "data")
    assert train(sciu, data, tmp_path / "run").code == 0
    assert sciu("data", "split", data, "--test", 0.5, "--replace", "--by", "clip").code == 0
    refused = sciu("train", data, "--out", tmp_path / "run", "--resume")
    assert refused.code == 3
    assert "a run must be resumed on its dataset" in refused.error()


def test_a_split_that_is_replaced_is_kept(sciu: Sciu, frame_faces: Dataset, tmp_path: Path) -> None:
    folder = copy_of(frame_faces.folder, tmp_path / "faces")
    answer = sciu("data", "split", folder, "--test", 0.3, "--replace", "--by", "clip")
    assert answer.code == 0, answer.err
    kept = folder / f"split_{frame_faces.fingerprint[:12]}"
    assert f"the split before is kept in '{kept}'" in answer.out
    assert Dataset.load(folder).fingerprint != frame_faces.fingerprint
    for file in kept.iterdir():
        shutil.copyfile(file, folder / file.name)
    assert Dataset.load(folder).fingerprint == frame_faces.fingerprint
