"""Feeds over a dataset with every kind of clip, and clips that tests may destroy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from feeding import CPU, SIZE, make_zoo

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.feed.dali_feed import DaliFeed
from sciu.pipeline.feed.torch_feed import TorchFeed


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_zoo(tmp_path_factory.mktemp("zoo"))


@pytest.fixture(scope="module")
def dali(zoo: Dataset) -> Iterator[DaliFeed]:
    with DaliFeed(dataset=zoo, device=CPU, threads=2) as feed:
        assert isinstance(feed, DaliFeed)
        yield feed


@pytest.fixture(scope="module")
def loader(zoo: Dataset) -> Iterator[TorchFeed]:
    with TorchFeed(dataset=zoo, device=CPU, size=SIZE, threads=1) as feed:
        assert isinstance(feed, TorchFeed)
        yield feed


@pytest.fixture
def copied(faces: Dataset, frame_faces: Dataset, request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    """Clips that tests may destroy, as videos or as folders of frames."""
    source = frame_faces if getattr(request, "param", "vp9") == "jpeg" else faces
    shutil.copytree(source.folder, tmp_path / "data")
    return Dataset.load(tmp_path / "data")
