"""The synthetic feed yields noise of the plan's shape."""

from __future__ import annotations

from feeding import CPU, SIZE, plan_of

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.feed.synthetic_feed import SyntheticFeed


def test_synthetic_clips_have_the_plans_shape_and_touch_nothing(zoo: Dataset) -> None:
    plan = plan_of(zoo, ids=range(7))
    with SyntheticFeed(dataset=zoo, device=CPU) as feed:
        batches = list(feed.batches(plan))
    assert [batch.ids.tolist() for batch in batches] == [plan.step(k).ids.tolist() for k in range(2)]
    assert [tuple(batch.frames_BTHWC.shape) for batch in batches] == [(4, 8, SIZE, SIZE, 3), (3, 8, SIZE, SIZE, 3)]
    assert feed.tally.files == feed.tally.decoded == 0
    assert feed.tally.clips == 7
