"""What is shown stays in its line, an empty answer says what to try, and columns are what decisions speak of."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import noisy_clips
import numpy as np
import pytest
from helpers import Answer
from noisy_clips import CLIPS, NAMES, begin, one_epoch

from sciu.purification import Auto, Purifier, Sciu

Command = Callable[..., Answer]
UGLY = ("Hap\npy", "Sa\x1b[31md", "Fear\u202e")


@pytest.fixture
def ugly(tmp_path: Path) -> Path:
    with begin(tmp_path / "ugly\x1b", class_names=UGLY, paths=[f"clip\x1b\x07{k}" for k in range(CLIPS)]) as purifier:
        for _ in range(3):
            one_epoch(purifier)
        purifier.pin(0, "label", label=1, who="an\rna", why="one\ntwo\x1b]0;title\x07")
    return tmp_path / "ugly\x1b"


@pytest.mark.parametrize(
    "command",
    [
        ["status"], ["list", "--what", "all", "--limit", 1000], ["list", "--what", "quarantined"], ["show", 0],
        ["health"], ["verify"], ["pin", 1, "--keep", "--why", "a\nb\x1b"], ["undo", 0], ["show", "nobody\x1b"],
        ["list", "--class", "Joy"], ["export", "--out", "{folder}/out\x1b"],
    ],
)  # fmt: skip
def test_nothing_that_is_shown_ends_a_line_or_controls_a_terminal(
    sciu: Command, ugly: Path, command: list[Any], tmp_path: Path
) -> None:
    plain = sciu("purify", command[0], ugly, *(str(word).format(folder=tmp_path) for word in command[1:]))
    for text in (plain.out, plain.err.removeprefix("Usage: ").replace(str(ugly), "")):
        assert not re.search(r"[^\n\x20-\x7e]", text)
    if command[0] == "show" and command[1] == 0:
        assert "pinned: is Sa\\x1b[31md by an\\rna: one\\ntwo\\x1b]0;title\\x07\n" in plain.out


def test_a_reason_that_is_no_text_is_refused(sciu: Command, ugly: Path) -> None:
    refused = sciu("purify", "pin", ugly, 3, "--keep", "--why", "\udcff")
    assert (refused.code, "`why` must be text in UTF-8, but is '\\udcff'" in refused.error()) == (2, True)
    assert sciu("purify", "show", ugly, "\udcff").code == 2


# ---- an empty list


def test_an_empty_list_says_why_and_what_to_try(sciu: Command, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with begin(store, labels=noisy_clips.GIVEN % 2):  # no clip is given the label Fear
        pass
    assert sciu("purify", "list", store).out == (
        "No clip is pruned yet: the policy decides when an epoch ends, and the first one is open.\n"
    )
    told = sciu("purify", "list", store, "--what", "all", "--class", "Fear").out
    assert told == f"No clip of class Fear is in the training set, but {CLIPS} of other classes. Leave out --class.\n"
    assert sciu("purify", "list", store, "--json").json == {"clips": [], "count": 0}
    with Purifier.open(store) as purifier:
        one_epoch(purifier)
        purifier.pin(0, "keep")
    told = sciu("purify", "list", store, "--what", "corrected").out
    assert told == (
        f"No clip is corrected in epoch 2. Choose with --what: all {CLIPS}, training {CLIPS}, pinned 1."
        " `sciu-purify status RUN` shows what every epoch decided.\n"
    )


# ---- sorting, and what the columns are


def test_clips_and_epochs_ascend(sciu: Command, tmp_path: Path) -> None:
    with begin(tmp_path / "store") as purifier:
        for _ in range(5):
            one_epoch(purifier)
    for sort, name in (("clip", "clip"), ("epoch", "first_epoch")):
        rows = sciu(
            "purify", "list", tmp_path / "store", "--what", "all", "--sort", sort, "--limit", 1000, "--json"
        ).json["clips"]  # fmt: skip
        values = [np.inf if row[name] is None else row[name] for row in rows]
        assert len(values) == CLIPS
        assert values == sorted(values)


def test_auto_shows_the_quantities_that_its_reasons_speak_of(sciu: Command, tmp_path: Path) -> None:
    store = tmp_path / "store"
    with begin(store, policy=Auto(act_after=2)) as purifier:
        for _ in range(8):
            one_epoch(purifier)
            grounds = purifier.policy.grounds(purifier.evidence(against_given=True), purifier.states())
    for what in ("pruned", "corrected"):
        rows = sciu("purify", "list", store, "--what", what, "--json").json["clips"]
        assert rows
        for row in rows:
            assert "score" not in row
            for name, values in (("information", grounds.quality), ("posterior", grounds.sureness)):
                assert row[name] == pytest.approx(values[row["clip"]], abs=1e-4)
        shown = [row["information"] for row in rows]
        assert shown == sorted(shown)
    text = sciu("purify", "list", store).out
    assert "information  posterior" in text.splitlines()[0]
    assert "score" not in text.splitlines()[0]


def test_the_score_is_that_of_the_label_where_it_prunes(sciu: Command, tmp_path: Path) -> None:
    policy = Sciu(prune_below=0.3, window=2, warmup=2, confidence="label")
    with begin(tmp_path / "store", policy=policy) as purifier:
        for _ in range(2):
            one_epoch(purifier)
    rows = sciu("purify", "list", tmp_path / "store", "--json").json["clips"]
    assert rows
    for row in rows:
        told = re.match(r"pruned: score (\d\.\d+)", row["why"])
        assert told
        assert float(told[1]) == pytest.approx(row["score"], abs=1e-3)
    assert {row["given"] for row in rows} <= set(NAMES)
