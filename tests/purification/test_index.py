"""The files of an epoch index verify each other, and are whole or absent."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from noisy_clips import PATHS, begin, one_epoch

from sciu.purification import DamagedError, EpochIndex, PurifierError, WriteFailedError
from sciu.purification.index import published_epochs


@pytest.fixture
def index(tmp_path: Path) -> EpochIndex:
    with begin(tmp_path / "store") as purifier:
        for _ in range(4):
            index = one_epoch(purifier)
    index.write(tmp_path / "index")
    return index


def test_what_is_read_is_what_was_written(tmp_path: Path, index: EpochIndex) -> None:
    read = EpochIndex.read(tmp_path / "index", 5)
    assert (read.ids.tolist(), read.labels.tolist()) == (index.ids.tolist(), index.labels.tolist())
    assert read.header == index.header
    assert published_epochs(tmp_path / "index") == [5]
    with pytest.raises(PurifierError, match="an index read from files does not know what changed"):
        _ = read.pruned
    with pytest.raises(PurifierError, match="one read from files exists already"):
        read.write(tmp_path)


def test_the_list_names_the_clips_to_decode_ascending_by_id(tmp_path: Path, index: EpochIndex) -> None:
    lines = [line.split(" ") for line in (tmp_path / "index/epoch_00005.list").read_text().splitlines()]
    assert [int(clip) for _, clip in lines] == index.ids.tolist() == sorted(index.ids.tolist())
    assert all(path == PATHS[int(clip)] for path, clip in lines)


def test_the_json_says_what_was_decided_and_by_which_rule(tmp_path: Path, index: EpochIndex) -> None:
    header = json.loads((tmp_path / "index/epoch_00005.json").read_text())
    assert header["epoch"] == 5
    assert header["counts"]["listed"] == len(index.ids) == header["counts"]["training"]
    assert header["policy"]["method"] == "sciu"
    assert header["thresholds"] == {"prune_below": 0.5, "correct_above": 0.2}
    assert header["generation"] == 5


@pytest.mark.parametrize("name", ["list", "labels.npy", "json"])
@pytest.mark.parametrize("fault", ["changed", "missing", "cut"])
def test_files_that_do_not_belong_together_are_refused(
    tmp_path: Path, index: EpochIndex, name: str, fault: str
) -> None:
    path = tmp_path / f"index/epoch_00005.{name}"
    content = path.read_bytes()
    if fault == "missing":
        path.unlink()
    elif fault == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        changed = content.replace(b"epoch", b"EPOCH", 1) if name == "json" else content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes(changed.replace(b'"sha256"', b'"sha257"'))
    with pytest.raises(DamagedError, match=rf"epoch_00005.{name}.*sciu-purify verify RUN --rewrite"):
        EpochIndex.read(tmp_path / "index", 5)


def test_a_full_disk_leaves_no_partial_file(tmp_path: Path, index: EpochIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(WriteFailedError, match="other/epoch_00005.list': No space left on device. Free"):
        index.write(tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_labels_are_int16_by_clip_id(tmp_path: Path, index: EpochIndex) -> None:
    labels = np.load(tmp_path / "index/epoch_00005.labels.npy")
    assert labels.dtype == np.int16
    assert (np.flatnonzero(labels >= 0) == index.ids).all()


@given(st.sets(st.integers(0, 30)), st.sets(st.integers(0, 30)), st.booleans())
def test_an_index_that_was_sent_is_the_same(training: set[int], scored: set[int], some: bool) -> None:
    """Its ids are not sent where the labels say them; a part of an index has its own ids."""
    given_N = np.full(31, -1, np.int16)
    given_N[[*training]] = 3
    index = EpochIndex.given(np.array(sorted(training | scored), np.int64), given_N, 2)
    if some:
        index = replace(index, ids=index.ids[::2])
    sent = pickle.loads(pickle.dumps(index))
    assert sent.ids.tolist() == index.ids.tolist()
    assert sent.ids.dtype == np.int64
    assert sent.labels.tolist() == index.labels.tolist()
    assert sent.score_only.tolist() == index.score_only.tolist()
