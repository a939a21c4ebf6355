"""Importers, one module per source: each reads a source and returns a Listing."""

from sciu.pipeline.dataset.importers import dfew, ferv39k, folder, mafw, table_file
from sciu.pipeline.dataset.importers.listing import ListedClip, Listing, Published

__all__ = ["ListedClip", "Listing", "Published", "dfew", "ferv39k", "folder", "mafw", "table_file"]
