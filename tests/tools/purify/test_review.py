"""A review decides about each clip once, and says what its reviewer meant, whatever the words look like."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from helpers import Answer
from mutated import contents, feed
from noisy_clips import CLIPS, PATHS, begin, one_epoch

from sciu.purification import Purifier
from sciu.tools.purify.places import Places
from sciu.tools.purify.review import read_review

Sciu = Callable[..., Answer]
NAMES = ("=1+1", "-Sad", "'@Fear")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with begin(tmp_path / "store", class_names=NAMES, paths=[f"-clip/{k}.mp4" for k in range(CLIPS)]) as purifier:
        for _ in range(3):
            one_epoch(purifier)
    return tmp_path / "store"


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


@pytest.mark.parametrize("second", ["7", "-clip/7.mp4", "7.mp4"])
def test_one_clip_twice_is_refused_and_both_lines_are_shown(
    sciu: Sciu, store: Path, tmp_path: Path, second: str
) -> None:
    rows = [{"clip": "7", "action": "keep"}, {"clip": "8", "action": ""}, {"clip": second, "action": "drop"}]
    refused = sciu("purify", "import-review", store, write(tmp_path / "review.csv", rows))
    assert refused.code == 2
    assert "lines 2 and 4 are both about clip 7, '-clip/7.mp4'. Remove one of them." in refused.error()
    assert sciu("purify", "status", store, "--json").json["pinned"] == 0


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_spreadsheet_may_write_other_delimiters(sciu: Sciu, store: Path, tmp_path: Path, delimiter: str) -> None:
    (tmp_path / "review.csv").write_text(f"\ufeffclip{delimiter}action\r\n7{delimiter}keep\r\n", "utf-8", newline="")
    told = sciu("purify", "import-review", store, tmp_path / "review.csv", "--who", "anna", "--json").json["clips"]
    assert [(row["clip"], row["why"]) for row in told] == [(7, "pinned: stays by anna")]


def test_a_defused_export_comes_back_unharmed(sciu: Sciu, store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    sciu("purify", "export", store, "--out", out)
    with out.open(newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    for row in rows:
        row["clip"], row["action"] = row["path"], "label"  # by its path: "'-clip/0.mp4"
    told = sciu("purify", "import-review", store, write(out, rows), "--who", "anna", "--json").json["clips"]
    before = {name.lstrip("'"): name for name in NAMES}
    assert [row["label"] for row in told] == [before[row["label"].lstrip("'")] for row in rows]
    assert all(row["why"] == f"pinned: is {row['label']} by anna" for row in told), "no reason but the policy's"


def test_a_reason_with_newlines_and_a_formula_is_kept_and_shown_in_one_line(
    sciu: Sciu, store: Path, tmp_path: Path
) -> None:
    why = "=1+1\nred: \x1b[31m\r"
    rows = [{"clip": "7", "action": "keep", "why": why}]
    sciu("purify", "import-review", store, write(tmp_path / "review.csv", rows), "--who", "an\nna")
    assert sciu("purify", "show", store, 7, "--json").json["why"] == f"pinned: stays by an\nna: {why}"
    out = sciu("purify", "show", store, 7).out
    assert "pinned: stays by an\\nna: =1+1\\nred: \\x1b[31m\\r\n" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"clip,action\n" + b"x" * 200_000 + b",keep\n", "field larger than field limit"),
        (b"clip,action\n1,\0keep\n", "action must be one of"),
        (b"clip,action\n" + b"7" * 5_000 + b",keep\n", "no path ends in it"),
        (b"clip,action\n\xff,keep\n", "must be UTF-8"),
        (b"clip|action\n7|keep\n", "must have columns clip and action"),
        (b"", "must have columns clip and action"),
        (b"clip,action\n7\n8,keep,too,much\n999,keep\n", "line 4 of"),
    ],
)
def test_files_that_are_no_review_get_one_line(
    sciu: Sciu, store: Path, tmp_path: Path, content: bytes, told: str
) -> None:
    (tmp_path / "review.csv").write_bytes(content)
    refused = sciu("purify", "import-review", store, tmp_path / "review.csv")
    assert refused.code == 2
    assert told in refused.error()


def test_paths_of_the_clips_are_shown_with_the_lines(sciu: Sciu, tmp_path: Path) -> None:
    begin(tmp_path / "store").close()
    rows = [{"clip": PATHS[3], "action": "keep"}, {"clip": "3", "action": "keep"}]
    refused = sciu("purify", "import-review", tmp_path / "store", write(tmp_path / "review.csv", rows))
    assert f"lines 2 and 3 are both about clip 3, '{PATHS[3]}'" in refused.error()


class RefusedError(ValueError):
    """A user's mistake, as `feed` knows errors of ours."""

    exit_code = 2


@pytest.mark.parametrize("examples", [100, pytest.param(2_000, marks=pytest.mark.slow)])
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_line(store: Path, tmp_path: Path, examples: int) -> None:
    text = b'clip,action,label,why,who\n7,keep,,fine,anna\n8.mp4,label,\'=1+1,"a, ""b""",\n9,free,,,\n'
    with Purifier.open(store) as purifier:
        places = Places(purifier, None)

        def read(content: bytes) -> None:
            (tmp_path / "review.csv").write_bytes(content)
            try:
                purifier.review(read_review(tmp_path / "review.csv", places, "anna"))
            except click.UsageError as error:
                raise RefusedError(error.message) from None

        feed(examples, contents(text), read, whole=text)
