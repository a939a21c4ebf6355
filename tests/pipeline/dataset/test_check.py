"""Checking finds every planted fault, releases repaired clips, and marks nothing when a disk is lost."""

from __future__ import annotations

import errno
import io
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import UNUSABLE, Answer, cut, make_unusable_clips, silent, write_clip
from PIL import Image

from sciu.pipeline.dataset import Dataset, DatasetError
from sciu.pipeline.dataset import check as checking
from sciu.pipeline.dataset.check import check
from sciu.pipeline.dataset.media.probe import probe
from sciu.tools.experiment.clips import load_clips


@pytest.fixture
def copy(faces: Dataset, tmp_path: Path) -> Dataset:
    shutil.copytree(faces.folder, tmp_path / "copy")
    return Dataset.load(tmp_path / "copy")


def test_a_sound_dataset(copy: Dataset) -> None:
    checked, problems = check(copy, "decode", silent)
    assert problems == []
    assert np.array_equal(checked.clips.frames, copy.clips.frames)


def test_planted_faults_are_found_and_never_fed(copy: Dataset) -> None:
    copy.path(2).write_bytes(b"")
    copy.path(5).write_bytes(b"junk")
    copy.path(7).write_bytes(copy.path(7).read_bytes()[:-200])
    copy.path(11).unlink()
    checked, problems = check(copy, "probe", silent)
    assert [problem.id for problem in problems] == [2, 5, 7, 11]
    for dataset in (checked, Dataset.load(copy.folder)):
        fed = np.concatenate([dataset.ids("train"), dataset.ids("test")])
        assert not {2, 5, 7, 11} & set(fed.tolist())
        assert len(fed) == len(copy) - 4
        assert dataset.fingerprint == copy.fingerprint


def test_a_mended_clip_is_released(copy: Dataset) -> None:
    kept = copy.path(3).read_bytes()
    copy.path(3).write_bytes(b"junk")
    checked, problems = check(copy, "probe", silent)
    assert [problem.id for problem in problems] == [3]
    copy.path(3).write_bytes(kept)
    assert check(checked, "probe", silent)[1] == []
    assert not Dataset.load(copy.folder).quarantined.any()


def test_what_decoding_found_is_not_released_by_less(frame_faces: Dataset, tmp_path: Path) -> None:
    shutil.copytree(frame_faces.folder, tmp_path / "copy")
    copy = Dataset.load(tmp_path / "copy")
    frame = copy.path(4) / "00005.jpg"
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)).save(buffer, "PNG")
    broken = bytearray(buffer.getvalue())
    broken[len(broken) // 2] ^= 0xFF
    frame.write_bytes(broken)
    assert check(copy, "probe", silent)[1] == []
    marked, problems = check(copy, "decode", silent)
    assert [problem.id for problem in problems] == [4]
    assert [problem.id for problem in check(marked, "probe", silent)[1]] == [4]


def test_a_clip_that_lost_frames_is_told(copy: Dataset, faces: Dataset) -> None:
    """A WebM whose middle is overwritten still plays: the demuxer continues after the damage."""
    whole = copy.path(2).read_bytes()
    for start in range(len(whole) // 3, len(whole) - 100):
        copy.path(2).write_bytes(whole[:start] + b"\xff" * 60 + whole[start + 60 :])
        found = probe(str(copy.path(2)), "video", "decode")
        if found.fault is None and found.frames < 12:
            break
    assert found.fault is None
    assert found.frames < 12
    marked, problems = check(copy, "decode", silent)
    assert [problem.id for problem in problems] == [2]
    assert [problem.id for problem in check(marked, "decode", silent)[1]] == [2]
    assert marked.clips.frames[2] == faces.clips.frames[2]


def test_a_read_only_dataset_is_refused_at_once(copy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(DatasetError, match="must be writable"):
        check(copy, "probe", silent)


def test_a_lost_disk_marks_nothing(copy: Dataset) -> None:
    for path in (copy.folder / "media").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match="none of the 28 clips .* Nothing was marked"):
        check(copy, "probe", silent)
    (copy.folder / "media").rmdir()
    with pytest.raises(DatasetError, match="media folder .* is missing"):
        check(copy, "probe", silent)
    assert not Dataset.load(copy.folder).quarantined.any()


def test_what_the_machine_does_is_no_verdict_on_a_clip(copy: Dataset) -> None:
    """Root has every permission, so this simulates an error of the disk instead, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking, "map_tasks", in_this_process)
        patch.setattr(Path, "open", broken_disk)
        with pytest.raises(OSError, match="Input/output error"):
            check(copy, "probe", silent)
    assert not Dataset.load(copy.folder).quarantined.any()


def in_this_process(function: Callable[[object], object], tasks: list[object]) -> Iterator[tuple[int, object]]:
    for position, task in enumerate(tasks):
        yield position, function(task)


def broken_disk(path: Path, *how: Any, **more: Any) -> Any:
    if path.suffix == ".webm":
        raise OSError(errno.EIO, "Input/output error", str(path))
    return open(path, *how, **more)  # noqa: PTH123 - a Path's own `open` is replaced by this


def test_every_planted_fault_is_found_and_a_training_never_sees_it(sciu: Callable[..., Answer], tmp_path: Path) -> None:
    source = tmp_path / "src"
    for split in ("train", "test"):
        for number in range(4):
            write_clip(source / split / "happy" / f"good{number}.mp4", "h264", frames=6)
    make_unusable_clips(source / "train" / "happy")
    write_clip(source / "train" / "happy" / "cut.mp4", "h264")
    cut(source / "train" / "happy" / "cut.mp4")
    assert sciu("data", "import", "folder", source, "--out", tmp_path / "data").code == 0
    answer = sciu("data", "check", tmp_path / "data", "--json")
    assert answer.code == 1
    reasons = {problem["name"].removeprefix("train/happy/"): problem["reason"] for problem in answer.json["problems"]}
    assert len(reasons) == 11
    for name, reason in {**UNUSABLE, "cut.mp4": "truncated"}.items():
        assert reason in reasons[name]
    packed = sciu("data", "pack", tmp_path / "data", "--out", tmp_path / "packed", "--size", 32)
    assert packed.code == 0
    for folder in ("data", "packed"):
        dataset = Dataset.load(tmp_path / folder)
        assert dataset.quarantined.sum() == 11
        assert load_clips(dataset).frames_NTCHW.shape[0] == 8
