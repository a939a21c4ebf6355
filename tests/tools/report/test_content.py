"""What the page says of a run: the commands, the numbers, paths that begin alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from invented_run import invented_run

from sciu.tools.command import duration
from sciu.tools.report.content import commands
from sciu.tools.report.gallery import common_folder
from sciu.tools.report.headline import differing, headline
from sciu.tools.report.reading import names_of, read_runs
from sciu.tools.report.records import RunRecord


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """A run that was read."""
    folder = invented_run(tmp_path_factory.mktemp("runs") / "run")
    return read_runs([folder], None, 1_000_000)[0]


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("/usr/bin/sciu-train 'my faces' --out run", "sciu-train 'my faces' --out run"),
        ("/x/tools/train.py faces", "sciu-train faces"),
        ("/x/tools/__main__.py train faces", "sciu-train faces"),
        ("/x/mine.py faces", "/x/mine.py faces"),
        ("it's broken", "it's broken"),
    ],
)
def test_a_command_can_be_pasted(run: RunRecord, command: str, shown: str) -> None:
    (_, began), (_, again) = commands(replace(run, card=replace(run.card, command=command)))
    assert began == shown
    assert again == f"sciu-train /gone/faces --out NEW --config {run.folder}/settings.toml"


def test_a_run_of_an_earlier_version_has_the_second_command_only(run: RunRecord) -> None:
    assert len(commands(replace(run, card=replace(run.card, command="")))) == 1


def test_gains_are_over_the_plain_run_and_not_over_itself(run: RunRecord) -> None:
    first = replace(run, history=run.history[:1])
    gains = [[figure.gain for figure in headline(run, plain)][:3] for plain in (None, run, first)]
    assert gains[:2] == [[None] * 3] * 2
    assert gains[2] == pytest.approx([16.0, 16.0, None])  # 20 of 50 right, after 12 of 50


def test_a_gain_that_may_be_due_to_something_else_than_the_method_is_not_comparable(run: RunRecord) -> None:
    """14 epochs on one split were compared in green with 4 on another."""
    card = run.card
    plain = replace(run, card=replace(card, settings=replace(card.settings, method="plain")))
    assert (differing(run, plain), differing(run, run), differing(run, None)) == ("", "", "")
    assert all(figure.comparable for figure in headline(run, plain))
    settings = replace(plain.card.settings, fold=2, seed=7, backbone="other")
    dataset = replace(card.dataset, fingerprint="0123456789")
    other = replace(plain, history=run.history[:2], card=replace(plain.card, settings=settings, dataset=dataset))
    ours = card.settings
    assert differing(run, other) == (
        f"epochs 5 / 2, fold {ours.fold} / 2, seed {ours.seed} / 7, split  / 01234567, backbone {ours.backbone} / other"
    )
    assert [figure.comparable for figure in headline(run, other)][:2] == [False, False]
    assert differing(replace(run, history=[]), other) == ""  # there is nothing to compare


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.4, "59 s"), (90, "1.5 min"), (7200, "2.0 h"), (360_000_000, "100,000.0 h")]
)
def test_times_have_the_unit_that_suits_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@given(st.lists(st.text("ab/", max_size=6)))
def test_the_common_folder_begins_every_path(paths: list[str]) -> None:
    folder = common_folder(paths)
    assert folder == "" or folder.endswith("/")
    assert all(path.startswith(folder) for path in paths)
    if paths:
        rest = {path[len(folder) :].partition("/")[:2] for path in paths}
        assert len(rest) > 1 or not next(iter(rest))[1]  # no longer one would do


def test_the_common_folder_of_files_is_theirs() -> None:
    assert common_folder(["/a/b/1.mp4", "/a/b/12.mp4"]) == "/a/b/"
    assert common_folder(["/a/b/1.mp4", "/a/bc/1.mp4"]) == "/a/"
    assert common_folder([]) == ""


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=5))
def test_names_tell_folders_apart(parts: list[list[str]]) -> None:
    folders = [Path("/", *each) for each in parts]
    names = names_of(folders)
    assert len(set(names)) == len(set(folders))
    assert all(str(folder).endswith(name) for folder, name in zip(folders, names, strict=True))
