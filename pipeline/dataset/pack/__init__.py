"""Datasets rewritten into one size and codec, by one job or by several."""

from sciu.pipeline.dataset.pack.clip import FITS, Packing, evenly
from sciu.pipeline.dataset.pack.parts import Shard
from sciu.pipeline.dataset.pack.whole import Packed, PackedPart, pack, pack_shard

__all__ = ["FITS", "Packed", "PackedPart", "Packing", "Shard", "evenly", "pack", "pack_shard"]
