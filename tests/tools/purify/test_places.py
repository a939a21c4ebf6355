"""Paths are those of the dataset as it is today, wherever it was moved to, and a path that leads nowhere is said."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import click
import pytest
from helpers import Answer
from hypothesis import given
from hypothesis import strategies as st
from noisy_clips import CLIPS, POLICY, begin
from shared import copy_of

from sciu.pipeline.dataset import Dataset
from sciu.purification import Purifier
from sciu.purification.care.report import Report
from sciu.purification.store.list_lines import Lines
from sciu.tools.purify.places import Places, require_existing

Sciu = Callable[..., Answer]


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return copy_of(finished_run, tmp_path / "run")


@pytest.fixture
def moved(frame_faces: Dataset, run: Path, tmp_path: Path) -> Path:
    """The run's dataset in a new place, and nothing where the run's card says it is."""
    new = Path(shutil.copytree(frame_faces.folder, tmp_path / "new/faces"))
    gone = str(tmp_path / "gone/faces")
    card = (run / "run.json").read_text().replace(str(frame_faces.folder), gone)
    (run / "run.json").write_text(card)
    with Purifier.open(run / "purifier") as purifier, purifier.store.writing() as transaction:
        old = bytes(transaction.get("lines/0000"))
        transaction.put("lines/0000", old.replace(str(frame_faces.folder).encode(), gone.encode()))
    return new


def paths_in_list(file: Path) -> list[str]:
    return [line.rpartition(" ")[0] for line in file.read_text().splitlines()]


def test_a_moved_dataset_is_found_by_the_option(sciu: Sciu, run: Path, moved: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert sciu("purify", "export", run, "--data", moved, "--format", "file_list", "--out", out, "--replace").code == 0
    assert all(Path(path).exists() and path.startswith(str(moved)) for path in paths_in_list(out))
    assert sciu("purify", "export", run, "--data", moved, "--out", out, "--replace").code == 0
    with out.open(newline="") as file:
        assert all(row["path"].startswith(str(moved)) for row in csv.DictReader(file))
    first = moved / "media" / Dataset.load(moved).clips.path[0]
    for command in (["show", run, 0], ["show", run, first], ["list", run, "--what", "training", "--sort", "clip"]):
        answer = sciu("purify", *command, "--data", moved)
        assert answer.code == 0
        assert str(first) in answer.out
    assert sciu("purify", "pin", run, first, "--keep", "--data", moved, "--json").json["clips"][0]["path"] == str(first)


def test_after_a_resume_in_the_new_place_no_option_is_needed(
    sciu: Sciu, run: Path, moved: Path, tmp_path: Path
) -> None:
    assert sciu("train", moved, "--out", run, "--resume").code == 0
    assert json.loads((run / "run.json").read_text())["dataset"]["folder"] == str(moved)
    out = tmp_path / "list"
    assert sciu("purify", "export", run, "--format", "file_list", "--out", out, "--replace").code == 0
    assert all(Path(path).exists() for path in paths_in_list(out))
    assert str(moved) in sciu("purify", "show", run, 0).out


def test_paths_that_do_not_exist_are_counted_and_the_exit_code_is_1(
    sciu: Sciu, run: Path, moved: Path, tmp_path: Path
) -> None:
    out = tmp_path / "list"
    answer = sciu("purify", "export", run, "--format", "file_list", "--out", out, "--replace")
    count = len(paths_in_list(out))
    assert answer.code == 1
    assert f"{count} of {count} listed paths do not exist" in answer.error()
    assert "--data" in answer.error()
    for command in (["show", run, 0], ["list", run, "--what", "training"], ["export", run, "--out", out, "--replace"]):
        told = sciu("purify", *command)
        assert (told.code, told.out != "") == (1, True)
        assert "do not exist, the first" in told.error()
    shutil.rmtree(moved / "media" / Dataset.load(moved).clips.path[0])
    told = sciu("purify", "list", run, "--data", moved, "--what", "training")
    assert (told.code, f"1 of {count} listed paths do not exist" in told.error()) == (1, True)
    sciu("purify", "quarantine", run, 0, "--why", "lost")
    assert sciu("purify", "list", run, "--data", moved, "--what", "all").code == 0, "it is known"


def test_another_dataset_is_refused(sciu: Sciu, run: Path, faces: Dataset, tmp_path: Path) -> None:
    other = tmp_path / "other"
    assert sciu("data", "synth", other, "--clips", 14, "--frames", 2, "--size", 16).code == 0
    refused = sciu("purify", "list", run, "--data", other)
    assert refused.code == 2
    assert f"'{other}' must be the dataset of '{run}', but has other clips, labels or folds" in refused.error()
    assert "no dataset in" in sciu("purify", "list", run, "--data", tmp_path / "nowhere").error()


def test_paths_with_blanks_are_listed_by_their_links_and_shown_as_they_are(sciu: Sciu, tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert sciu("data", "synth", made, "--clips", 14, "--frames", 4, "--size", 32, "--codec", "jpeg").code == 0
    shutil.move(made / "media", tmp_path / "new media")
    manifest = made / "dataset.toml"
    manifest.write_text(manifest.read_text().replace('root = "media"', f'root = "{tmp_path}/new media"'))
    dataset = Dataset.load(made)
    with Purifier.create(
        tmp_path / "run/purifier", labels=dataset.labels, num_classes=len(dataset.classes), policy=POLICY,
        fingerprint=dataset.fingerprint,
    ):  # fmt: skip
        pass
    out = tmp_path / "list"
    told = sciu(
        "purify", "export", tmp_path / "run", "--data", made, "--format", "file_list", "--out", out, "--replace"
    )
    assert told.code == 0
    assert all(Path(path).is_symlink() and Path(path).exists() for path in paths_in_list(out))
    assert f"{tmp_path}/new media/" in sciu("purify", "show", tmp_path / "run", 0, "--data", made).out


def test_relative_paths_of_another_training_loop_are_not_looked_for(sciu: Sciu, tmp_path: Path) -> None:
    begin(tmp_path / "run/purifier").close()
    assert sciu("purify", "list", tmp_path / "run", "--what", "training").code == 0


# ---- at a million clips


@given(st.lists(st.text("ab/", min_size=1, max_size=6), min_size=1, max_size=20), st.data())
def test_a_clip_is_found_by_its_path_or_the_end_of_it(paths: list[str], data: st.DataObject) -> None:
    """Without a look at each path for each text."""
    wanted = data.draw(st.sampled_from(paths) | st.text("ab/", min_size=1, max_size=3))
    places = Places(cast("Purifier", SimpleNamespace(lines=Lines.render(paths))), None)
    assert places.find(wanted) == [
        clip for clip, path in enumerate(paths) if path == wanted or path.endswith("/" + wanted)
    ]


def test_many_clips_are_looked_up_in_paths_and_states_that_are_read_once(
    frame_faces: Dataset, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Purifier.open(run / "purifier", read_only=True) as purifier:
        places = Places(purifier, frame_faces)
        paths, train = frame_faces.clips.path, frame_faces.ids("train").tolist()
        assert places.number(str(train[0])) == places.number(paths[train[0]]) == train[0]
        assert places.number(purifier.lines.path(train[0])) == train[0]
        monkeypatch.setattr(Purifier, "states", None)
        monkeypatch.setattr(Lines, "path", None)
        for clip in train:
            assert places.number(str(clip)) == places.number(paths[clip]) == clip


def test_paths_in_one_folder_are_listed_and_only_the_others_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at a path is a request over NFS; a link may lead nowhere."""
    paths = [tmp_path / f"{clip}.mp4" for clip in range(CLIPS)]
    for path in paths[3:]:
        path.touch()
    paths[1].symlink_to("0.mp4")
    paths[2].symlink_to("3.mp4")
    with begin(tmp_path / "store", paths=[str(path) for path in paths]) as purifier:
        report = Report.of(purifier)
        rows = Places(purifier, None).rows(report, report.chosen("all"))
    looked_for = []

    def exists(path: Path) -> bool:
        looked_for.append(path)
        return os.path.exists(path)  # noqa: PTH110 - `Path.exists` is this

    monkeypatch.setattr(Path, "exists", exists)
    with pytest.raises(
        click.ClickException, match=f"^2 of {CLIPS} listed paths do not exist, the first is '{paths[0]}'"
    ):
        require_existing(rows)
    assert looked_for == paths[:3]
