"""Blocks affect storage, not decisions: any block size gives the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from noisy_clips import begin, one_epoch

from sciu.purification import Keep, Purifier
from sciu.purification.care.audit import audit
from sciu.purification.store import layout


@pytest.mark.parametrize("block", [1, 7, 60, 120])
def test_the_size_of_blocks_changes_no_decision(tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with begin(tmp_path / "whole") as purifier:
        expected = [one_epoch(purifier).files() for _ in range(6)]
    monkeypatch.setattr(layout, "BLOCK", block)
    with begin(tmp_path / "blocks") as purifier:
        assert [one_epoch(purifier).files() for _ in range(6)] == expected
        purifier.pin(119, "drop")
    assert audit(tmp_path / "blocks") == []
    with Purifier.open(tmp_path / "blocks") as purifier:
        assert purifier.index().files() == expected[-1]
        assert 119 not in one_epoch(purifier).ids


@pytest.mark.parametrize("clips", [1, layout.BLOCK, layout.BLOCK + 1])
def test_sizes_at_the_borders_of_blocks(tmp_path: Path, clips: int) -> None:
    with Purifier.create(tmp_path, labels=np.zeros(clips, int), num_classes=2, policy=Keep(window=2)) as purifier:
        purifier.record([clips - 1], np.array([0.5]), np.array([[0.25, 0.75]]))
        files = purifier.end_epoch().files()
    with Purifier.open(tmp_path) as purifier:
        assert purifier.index().files() == files
        assert purifier.scores(clips - 1) == [(1, 0.5, [0.25, 0.75])]
