"""The table, the counts and the noise matrix agree with naive ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from noisy_clips import GIVEN, NAMES, TRUE, UNUSABLE, begin, one_epoch, scores

from sciu.purification import Purifier
from sciu.purification.care.report import Report, health, noise_matrix, rows_of


@pytest.fixture(scope="module")
def purifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Purifier]:
    with begin(tmp_path_factory.mktemp("report")) as purifier:
        for _ in range(5):
            one_epoch(purifier)
        purifier.pin(0, "drop", who="anna", why="no face")
        yield purifier


@pytest.fixture(scope="module")
def report(purifier: Purifier) -> Report:
    return Report.of(purifier)


def test_every_clip_has_its_row(purifier: Purifier, report: Report) -> None:
    rows = rows_of(report, purifier, report.chosen("all"))
    assert [row.given for row in rows] == [NAMES[label] for label in GIVEN]
    assert rows[0].status == "pin drop"
    assert rows[0].why == "pinned: leaves by anna: no face"
    pruned = [row for row in rows if row.status == "pruned"]
    assert [row.clip for row in pruned] == [clip for clip in np.flatnonzero(UNUSABLE).tolist() if clip != 0]
    assert all(row.why.startswith("pruned: score 0.") and row.first_epoch == 3 for row in pruned)
    corrected = [row for row in rows if row.label != row.given]
    assert all(row.why.startswith(f"relabelled {row.given} -> {row.label}") for row in corrected)
    assert all((row.grounds["margin"] or 0) > 0.2 and row.predicted == row.label for row in corrected)


def test_label_scores_are_the_mean_probability_of_the_given_label(purifier: Purifier, report: Report) -> None:
    clip = int(np.flatnonzero(~UNUSABLE)[1])
    last = [scores(epoch, np.array([clip]))[1][0, GIVEN[clip]].astype(np.float16) for epoch in (4, 5)]
    assert report.label_score[clip] == pytest.approx(np.mean(last, dtype=np.float32), abs=1e-3)


def test_health_counts_what_is_there(purifier: Purifier, report: Report) -> None:
    told = health(report, purifier, worst=5)
    assert {row.name: row.given for row in told.classes} == {
        name: GIVEN.tolist().count(k) for k, name in enumerate(NAMES)
    }
    assert sum(row.pruned for row in told.classes) == int(UNUSABLE.sum())
    mended = ~UNUSABLE & (GIVEN != TRUE)
    mended[0] = False
    expected = Counter((NAMES[GIVEN[clip]], NAMES[TRUE[clip]]) for clip in np.flatnonzero(mended))
    assert {(given, label): clips for given, label, clips in told.pairs} == expected
    assert len(told.worst) == 5
    worst = [row.label_score or 0.0 for row in told.worst]
    assert worst == sorted(worst)
    assert all(row.given == row.label and row.status == "training" for row in told.worst)


def test_the_noise_matrix_shows_the_planted_noise(report: Report) -> None:
    noise = noise_matrix(report)
    assert noise is not None
    assert noise.sum(axis=1) == pytest.approx(np.ones(3))
    usable = ~UNUSABLE
    planted = np.array([[(usable & (i == GIVEN) & (j == TRUE)).sum() for j in range(3)] for i in range(3)])
    assert noise == pytest.approx(planted / planted.sum(axis=1, keepdims=True), abs=0.12)


def test_before_anything_was_scored(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        report = Report.of(purifier)
        assert noise_matrix(report) is None
        assert health(report, purifier).worst == []
        row = rows_of(report, purifier, report.chosen("all"))[0]
        assert row.grounds == {"score": None, "margin": None}
        assert (row.label_score, row.predicted, row.why) == (None, None, "")
