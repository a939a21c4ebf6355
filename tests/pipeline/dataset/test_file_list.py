"""Paths for a DALI file list: absolute, without white space, and readable by a stock DALI reader."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import make_dataset, write_clip

from sciu.pipeline.dataset import Dataset, DatasetError, list_paths
from sciu.pipeline.dataset.importers import folder

NAMES = ["plain.webm", "two words.webm", "tab\there.webm", "naïve 顔.webm", "line\nbreak.webm"]


@pytest.fixture
def awkward(tmp_path: Path) -> Dataset:
    for number, name in enumerate(NAMES, start=1):
        write_clip(tmp_path / "src" / "train" / "happy" / name, "vp9", frames=3 + number)
    return make_dataset(folder.read(tmp_path / "src"), tmp_path / "data")


def test_no_path_has_white_space_and_every_one_leads_to_its_clip(awkward: Dataset) -> None:
    paths = list_paths(awkward)
    assert not [path for path in paths if re.search(r"\s", path)]
    assert [Path(path).resolve() for path in paths] == [awkward.path(clip) for clip in range(len(awkward))]
    assert list_paths(awkward) == paths


def test_a_link_to_the_wrong_clip_is_mended(awkward: Dataset) -> None:
    path = next(Path(path) for path in list_paths(awkward) if "/links/" in path)
    path.unlink()
    path.symlink_to("/elsewhere")
    list_paths(awkward)
    assert path.resolve().exists()


def test_a_stock_dali_reader_reads_the_list(awkward: Dataset, tmp_path: Path) -> None:
    from nvidia.dali import fn
    from nvidia.dali.pipeline import Pipeline

    file_list = tmp_path / "index.list"
    file_list.write_text("".join(f"{path} {clip}\n" for clip, path in enumerate(list_paths(awkward))))
    pipeline: Any = Pipeline(batch_size=1, num_threads=1, device_id=None)
    with pipeline:
        reader: Any = fn.experimental.readers.video
        pipeline.set_outputs(*reader(file_list=str(file_list), sequence_length=1, step=1000))
    pipeline.build()
    seen = [int(np.array(pipeline.run()[1].at(0)).item()) for _ in NAMES]
    assert sorted(seen) == list(range(len(NAMES)))


def test_a_dataset_folder_with_white_space_is_refused_with_the_remedy(tmp_path: Path) -> None:
    write_clip(tmp_path / "src" / "train" / "happy" / "two words.webm", "vp9")
    made = make_dataset(folder.read(tmp_path / "src"), tmp_path / "my data")
    with pytest.raises(DatasetError, match=r"no white space in its path, but is '.*my data'.*ln -s"):
        list_paths(made)
