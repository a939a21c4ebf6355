"""Who finds wrong labels: margins are those of the scores; cleanlab is asked about clips that a network never saw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from noisy_clips import CLASSES, CLIPS, GIVEN, TRUE, UNUSABLE, scores

from sciu.purification import Elr, Purifier
from sciu.tools.experiment.results.detectors import by_confident_learning, by_margins, mean_margins
from sciu.tools.experiment.results.read import Result, load_groups

ROOT = Path(__file__).resolve().parents[4]
RESULT = ROOT / "docs/experiments/results/real/results/real/tiny_lstm/plain/21.json"


def test_margins_are_those_of_what_was_scored_epoch_by_epoch(tmp_path: Path) -> None:
    expected, seen = np.zeros(CLIPS), np.zeros(CLIPS)
    with Purifier.create(tmp_path, labels=GIVEN, num_classes=CLASSES, policy=Elr(pull=0.0)) as purifier:
        for epoch in range(1, 6):
            ids = np.arange(0, CLIPS, 1 + (epoch == 3))  # half of them in the third epoch
            weights, probs = scores(epoch, ids)
            purifier.record(ids, weights, probs)
            purifier.end_epoch()
            others = probs.copy()
            others[np.arange(len(ids)), GIVEN[ids]] = -1
            expected[ids] += probs[np.arange(len(ids)), GIVEN[ids]] - others.max(axis=1)
            seen[ids] += 1
        assert np.allclose(mean_margins(purifier), expected / seen, atol=5e-3)


def test_scores_that_move_the_average_no_more_count_too(tmp_path: Path) -> None:
    """Sixty epochs for the label, forty against it."""
    with Purifier.create(tmp_path, labels=[0, 1], num_classes=2, policy=Elr(pull=0.0)) as purifier:
        for epoch in range(100):
            own = 0.99 if epoch < 60 else 0.01
            purifier.record([0, 1], [1.0, 1.0], [[own, 1 - own], [1 - own, own]])
            purifier.end_epoch()
        assert np.allclose(mean_margins(purifier), 0.2 * 0.98, atol=0.02)


def of_clips(path: Path, part: int = 0, **arrays: np.ndarray) -> Result:
    np.savez(path, **arrays)  # type: ignore[arg-type] # the stubs take names for options
    return Result({"part": part}, path)


def test_margins_below_zero_are_held_against_the_truth(tmp_path: Path) -> None:
    """One of two wrong labels is found, and one right label is doubted; what nobody judged counts for nothing."""
    run = of_clips(
        tmp_path / "run.npz", margin=np.array([-0.5, 0.5, -0.1, 0.2, -0.9]), given=np.array([0, 1, 1, 0, 0]),
        true=np.array([1, 0, 1, 0, -1]), unusable=np.zeros(5, np.bool_),
    )  # fmt: skip
    assert by_margins(run) == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert by_margins(of_clips(tmp_path / "blind.npz", given=np.zeros(5))) is None


def test_cleanlab_is_given_all_parts_or_is_not_asked(tmp_path: Path) -> None:
    pytest.importorskip("cleanlab")
    parts = []
    for part in range(5):
        ids = np.arange(part, CLIPS, 5)
        arrays: dict[str, np.ndarray] = {
            "given": GIVEN[ids],
            "true": TRUE[ids],
            "unusable": UNUSABLE[ids],
            "probs": scores(0, ids)[1],
        }
        named = {f"unseen_{name}": each for name, each in arrays.items()}
        parts.append(of_clips(tmp_path / f"{part}.npz", part + 1, **named))
    found = by_confident_learning(parts)
    assert found is not None
    assert found["f1"] is not None
    assert found["f1"] > 0.8
    assert by_confident_learning(parts[:4]) is None
    assert by_confident_learning([parts[0]] * 5) is None, "five times the same part"


def test_runs_that_a_part_was_kept_from_are_no_row_of_a_table(tmp_path: Path) -> None:
    for method, labels in (("plain", "given"), ("part one", "part")):
        path = tmp_path / "results" / method / "0.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**json.loads(RESULT.read_text()), "method": method, "labels": labels, "unit": "0"}))
    (group,) = load_groups(tmp_path)
    assert list(group.methods) == ["plain"]
    assert [run.method for run in group.parts["0"]] == ["part one"]
