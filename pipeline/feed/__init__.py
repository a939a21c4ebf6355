"""Which clips this epoch, which frames, and their pixels on the device."""

from sciu.pipeline.feed.augmentation import Augmentation
from sciu.pipeline.feed.batch import ClipBatch
from sciu.pipeline.feed.cache import Cache
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.feed import Fault, Feed, Tally
from sciu.pipeline.feed.plan import Plan, Planner, Views
from sciu.pipeline.feed.sampling import Sampling

__all__ = [
    "Augmentation", "Cache", "ClipBatch", "Fault", "Feed", "FeedError", "Plan", "Planner", "Sampling", "Tally", "Views",
]  # fmt: skip
