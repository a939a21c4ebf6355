"""`sciu-predict`: which clips it takes, and how it answers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from helpers import UNUSABLE, Answer, make_unusable_clips, write_clip
from shared import copy_of

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media import read
from sciu.pipeline.dataset.media.encode import encode_video
from sciu.pipeline.feed.files import clip_files

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
        (["x.mp4", "--out", "{}/nowhere/out.csv"], "--out must be in a folder that exists"),
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


def test_a_clip_of_every_kind_that_cannot_be_read_costs_itself_only(
    sciu: Sciu, finished_run: Path, tmp_path: Path
) -> None:
    make_unusable_clips(tmp_path)
    write_clip(tmp_path / "good.mp4", "h264")
    names = [*UNUSABLE, "good.mp4"]
    answer = sciu("predict", finished_run, *(tmp_path / name for name in names), "--device", "cpu", "--json")
    assert answer.code == 1
    *bad, good = answer.json["clips"]
    assert good["label"] in answer.json["classes"]
    for name, clip in zip(UNUSABLE, bad, strict=True):
        assert UNUSABLE[name] in clip["fault"], name
        assert clip["label"] is None


def test_a_folder_of_nothing_is_a_clip_of_nothing(sciu: Sciu, finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    answer = sciu("predict", finished_run, tmp_path / "nothing", "--device", "cpu")
    assert answer.code == 1
    assert "has zero frames" in answer.out


def test_names_of_strangers_neither_run_in_a_spreadsheet_nor_break_lines(
    sciu: Sciu, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copy_of(finished_run, tmp_path / "run")
    card = json.loads((run / "run.json").read_text())
    card["dataset"]["classes"] = [f'=HYPERLINK("http://{number}")' for number in range(7)]
    (run / "run.json").write_text(json.dumps(card))
    monkeypatch.chdir(tmp_path)
    names = ["=1+1.mp4", "two\nlines.mp4"]
    for name in names:
        write_clip(tmp_path / name, "h264")
    assert sciu("predict", "run", *names, "--device", "cpu", "--out", "out.csv").code == 0
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["'=1+1.mp4", "two\nlines.mp4"]
    assert all(row["label"].startswith("'=HYPERLINK") for row in rows)
    shown = sciu("predict", "run", *names, "--device", "cpu").out
    assert "two\\nlines.mp4" in shown
    again = sciu("predict", "run", "--csv", "out.csv", "--device", "cpu", "--json").json
    assert [Path(clip["path"]).name for clip in again["clips"]] == names


def test_hours_of_video_are_neither_decoded_nor_held(
    sciu: Sciu, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The middle of a video of a frame a second cannot be decoded, and nobody asks for it."""
    monkeypatch.setattr(read, "LONG", 500)
    monkeypatch.setattr(clip_files, "LONG", 500)
    monkeypatch.setattr(clip_files, "read_file", lambda _: pytest.fail("the file was read whole"))
    shades = [np.full((32, 32, 3), number // 4, np.uint8) for number in range(1000)]
    whole = encode_video(shades, "libx264", "mp4", {"g": "10", "preset": "ultrafast"}, rate=1)
    (tmp_path / "whole.mp4").write_bytes(whole)
    said = sciu("predict", finished_run, tmp_path / "whole.mp4", "--device", "cpu", "--json").json["clips"][0]
    with av.open(io.BytesIO(whole)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    ruined, taken = bytearray(whole), {62 + 125 * part for part in range(8)}  # the middle of each of 8 parts
    for number, (begin, size) in enumerate(packets[10:], start=10):
        if not any(abs(number - each) < 30 for each in taken):
            ruined[begin : begin + size] = bytes(size)
    (tmp_path / "ruined.mp4").write_bytes(ruined)
    answer = sciu("predict", finished_run, tmp_path / "ruined.mp4", "--device", "cpu", "--json").json
    assert answer["clips"][0]["probabilities"] == said["probabilities"]
