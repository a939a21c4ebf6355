"""`sciu-predict`: which clips it takes, and how it answers."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import Answer, write_clip

from sciu.pipeline.dataset import Dataset

Sciu = Callable[..., Answer]


def test_files_folders_a_table_and_a_dataset_are_predicted_in_this_order(
    sciu: Sciu, finished_run: Path, frame_faces: Dataset, tmp_path: Path
) -> None:
    write_clip(tmp_path / "one.mp4", "h264")
    write_clip(tmp_path / "all" / "two.mp4", "h264")
    (tmp_path / "list.csv").write_text("label,path\nsad,one.mp4\n")
    answer = sciu(
        "predict", finished_run, tmp_path / "one.mp4", tmp_path / "all", "--csv", tmp_path / "list.csv",
        "--data", frame_faces.folder, "--split", "test", "--device", "cpu", "--json",
    ).json  # fmt: skip
    assert answer["classes"] == [*frame_faces.classes]
    names = [Path(clip["path"]).name for clip in answer["clips"]]
    tests = [frame_faces.path(clip).name for clip in frame_faces.ids("test").tolist()]
    assert names == ["one.mp4", "two.mp4", "one.mp4", *tests]
    for clip in answer["clips"]:
        assert sum(clip["probabilities"].values()) == pytest.approx(1)
        assert clip["probability"] == clip["probabilities"][clip["label"]] == max(clip["probabilities"].values())
        assert 0 < clip["weight"] < 1


def test_a_csv_file_has_a_row_for_each_clip_and_what_cannot_be_read_its_reason(
    sciu: Sciu, finished_run: Path, frame_faces: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "=bad.mp4").write_bytes(b"no video")
    out = tmp_path / "out.csv"
    clips = [frame_faces.path(0), tmp_path / "=bad.mp4"]
    answer = sciu("predict", finished_run, *clips, "--device", "cpu", "--out", out)
    assert answer.code == 1
    assert "1 clips predicted" in answer.out
    assert "1 cannot be read" in answer.out
    with out.open(newline="") as file:
        good, bad = csv.DictReader(file)
    assert good["label"] in frame_faces.classes
    assert float(good[f"p({good['label']})"]) == float(good["probability"])
    assert bad["fault"] == "is not a video file, or is damaged"
    assert bad["label"] == bad["weight"] == ""


def test_without_a_file_a_table_is_printed(sciu: Sciu, finished_run: Path, frame_faces: Dataset) -> None:
    answer = sciu("predict", finished_run, frame_faces.path(0), "none.mp4", "--device", "cpu")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert lines[0].split() == ["clip", "label", *frame_faces.classes]
    assert "is missing" in lines[3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there must be clips to predict"),
        (["--split", "test"], "--split must come with --data"),
        (["--csv", "{}/list.csv"], "must be a file with a column `path`"),
        (["--csv", "{}/gaps.csv"], "gaps.csv':3 has none"),
        (["{}", "--csv", "{}/nothing.csv"], "nothing.csv' is []"),
        (["x.mp4", "--out", "{}/nowhere/out.csv"], "--out must be in a folder that can be written"),
    ],
)
def test_nothing_to_predict_is_a_line(
    sciu: Sciu, finished_run: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    (tmp_path / "list.csv").write_text("clip,label\n1.mp4,sad\n")
    (tmp_path / "nothing.csv").touch()
    (tmp_path / "gaps.csv").write_text("path,label\n1.mp4,sad\n,sad\n")
    answer = sciu("predict", finished_run, *(word.format(tmp_path) for word in words))
    assert answer.code in (2, 3)
    assert message in answer.error()
