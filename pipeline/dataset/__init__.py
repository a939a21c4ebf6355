"""Datasets of clips: the dataset folder, importers, probing, packing, synthetic faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.file_list import list_paths

if TYPE_CHECKING:
    from sciu.pipeline.dataset.dataset import Dataset

__all__ = ["Dataset", "DatasetError", "list_paths"]


def __getattr__(name: str) -> Any:
    """Import what reads datasets only when it is asked for: Parquet and FFmpeg take 0.2 s."""
    if name != "Dataset":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from sciu.pipeline.dataset.dataset import Dataset

    return Dataset
