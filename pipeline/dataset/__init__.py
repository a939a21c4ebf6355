"""Datasets of clips: the dataset folder, importers, probing, packing, synthetic faces."""

from sciu.pipeline.dataset.dataset import Dataset
from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.dataset.file_list import list_paths

__all__ = ["Dataset", "DatasetError", "list_paths"]
