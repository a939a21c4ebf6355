"""The plan is a pure function of its inputs; a clip's part in it depends on nothing but that clip."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from feeding import index_of
from hypothesis import given, settings
from hypothesis import strategies as st

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.table import KINDS, Categories, ClipTable
from sciu.pipeline.errors import SettingError
from sciu.pipeline.feed.errors import FeedError
from sciu.pipeline.feed.plan import plan as plan_module
from sciu.pipeline.feed.plan.augmentation import Augmentation
from sciu.pipeline.feed.plan.plan import Plan, Planner, Samples
from sciu.pipeline.feed.plan.sampling import SAMPLINGS, Sampling

CLIPS = 60


def _dataset() -> Dataset:
    rng = np.random.default_rng(0)
    numbers = {name: rng.integers(1, 90, CLIPS).astype(np.int32) for name in ("frames", "width", "height")}
    some = np.zeros(CLIPS, np.int32)
    table = ClipTable(
        name=[str(k) for k in range(CLIPS)], path=[str(k) for k in range(CLIPS)], kind=Categories(some, KINDS),
        codec=Categories(some, ("vp9",)), label=Categories(some, ("happy",)), folds=(Categories(some, ("train",)),),
        group=Categories(some - 1, ()), quarantine=Categories(some - 1, ()), **numbers,
    )  # fmt: skip
    return Dataset(folder=Path(), name="sixty", classes=("happy",), root=".", clips=table)


SIXTY = _dataset()
IDS = st.sets(st.integers(0, CLIPS - 1))
RICH = Augmentation(rotation=5, brightness=0.2, contrast=0.2)


def planner(**changes: object) -> Planner:
    return Planner(dataset=SIXTY, batch_size=4, augmentation=RICH, **changes)  # type: ignore[arg-type]


def rows(plan: Plan) -> dict[int, list[object]]:
    """The plan's values for each clip."""
    return {
        int(clip): [getattr(plan.samples, field.name)[row].tolist() for field in fields(Samples)]
        for row, clip in enumerate(plan.samples.ids)
    }


@given(IDS, st.integers(1, 9), st.integers(1, 7), st.integers(0, 9))
def test_each_clip_is_in_the_plan_of_exactly_one_rank_and_all_take_as_many_steps(
    ids: set[int], world: int, batch_size: int, seed: int
) -> None:
    ranks = [replace(planner(seed=seed, rank=rank, world=world), batch_size=batch_size) for rank in range(world)]
    training = [one.training(index_of(SIXTY, ids)) for one in ranks]
    testing = [one.testing(np.array([*ids], int)) for one in ranks]
    for plans in (training, testing):
        assert sorted(clip for plan in plans for clip in plan.samples.ids.tolist()) == sorted(ids)
        assert len({plan.steps for plan in plans}) == 1
        for plan in plans:
            stepped = [plan.step(number).ids.tolist() for number in range(plan.steps)]
            assert [clip for step in stepped for clip in step] == plan.samples.ids.tolist()
            assert {len(step) for step in stepped[:-1]} <= {batch_size}, "only the last one may be short"
            assert max(map(len, stepped), default=0) <= batch_size
        sizes = [len(plan.samples) for plan in plans]
        assert max(sizes) - min(sizes) <= 1


@given(IDS, IDS, st.integers(1, 5), st.sampled_from(list(SAMPLINGS)))
def test_removing_clips_changes_nothing_for_the_others(ids: set[int], gone: set[int], epoch: int, how: str) -> None:
    one = planner(sampling=Sampling(how=how, frames=8))
    before, after = (rows(one.training(index_of(SIXTY, kept, epoch))) for kept in (ids, ids - gone))
    assert after == {clip: row for clip, row in before.items() if clip not in gone}
    assert [*after] == [clip for clip in before if clip not in gone], "not even their order"


@given(IDS, st.integers(1, 6))
def test_a_clip_is_looked_at_alike_whatever_its_rank(ids: set[int], world: int) -> None:
    alone = rows(planner().training(index_of(SIXTY, ids)))
    for rank in range(world):
        for clip, row in rows(planner(rank=rank, world=world).training(index_of(SIXTY, ids))).items():
            assert row == alone[clip]


@settings(max_examples=20)
@given(IDS, st.integers(0, 59))
def test_ranks_keep_their_clips_for_the_whole_run(ids: set[int], pruned: int) -> None:
    """Otherwise another rank would need what a rank has cached."""

    def ranks(kept: set[int], epoch: int) -> dict[int, int]:
        plans = [planner(rank=rank, world=3).training(index_of(SIXTY, kept, epoch)) for rank in range(3)]
        return {clip: rank for rank, plan in enumerate(plans) for clip in plan.samples.ids.tolist()}

    first, second = ranks(ids, 1), ranks(ids - {pruned}, 2)
    assert sum(first[clip] != rank for clip, rank in second.items()) <= 2


@given(IDS, st.integers(1, 9), st.integers(1, 7), st.integers(1, 40), st.data())
def test_steps_in_any_order_are_parts_of_the_whole(
    ids: set[int], world: int, batch_size: int, at_once: int, data: st.DataObject
) -> None:
    """A step is drawn with its neighbours when it is asked for; that shows in nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_module, "_DRAWN_AT_ONCE", at_once)
        rank = data.draw(st.integers(0, world - 1))
        plan = replace(planner(rank=rank, world=world), batch_size=batch_size).training(index_of(SIXTY, ids))
        whole = plan.samples
        for number in data.draw(st.permutations(range(plan.steps))):
            part, span = plan.step(number), slice(plan.offsets[number], plan.offsets[number + 1])
            for column in fields(Samples):
                assert np.array_equal(getattr(part, column.name), getattr(whole, column.name)[span])


SHARDED = {
    2: "ce04a025dd98d4c2989a017fbdb195ffbfd59b3fb4690914867e084d5e459e1d",
    3: "481a10ff82c268b3202c59e9dbddd5b32db397df128e7882a29621c6416063ac",
    7: "5d1b7ef391d19bee26737c69c922c0a5fcaf08a476c4a1e9d61ac8b76a5e1c8e",
    59: "f8bbf78db5f7b54531ce0009885b40eef9562c242978975236a466ab6c532429",
}


@pytest.mark.parametrize(("world", "digest"), SHARDED.items())
def test_a_rank_has_the_plan_that_it_always_had(world: int, digest: str) -> None:
    """Runs of earlier versions are resumed."""
    last = planner(seed=5, rank=world - 1, world=world)
    plans = last.training(index_of(SIXTY)), last.testing(np.arange(0, CLIPS, 2))
    assert hashlib.sha256("".join(plan.digest for plan in plans).encode()).hexdigest() == digest


def test_epochs_seeds_and_clips_differ() -> None:
    index = index_of(SIXTY)
    digests = {planner(seed=seed).training(replace(index, epoch=epoch)).digest for seed in (0, 1) for epoch in (1, 2)}
    assert len(digests) == 4
    orders = [planner().training(replace(index, epoch=epoch)).samples.ids.tolist() for epoch in (1, 2)]
    assert orders[0] != orders[1] != sorted(orders[1])


def test_the_same_inputs_give_the_same_plan_wherever_it_is_made() -> None:
    assert planner(seed=5).training(index_of(SIXTY)).digest == GOLDEN


GOLDEN = "27bb9ff968c185b398697e115e3109e0e3929d5dd0113430251da491203c8f33"


def test_testing_is_in_order_and_without_chance() -> None:
    plan = planner().testing(np.array([9, 3, 30]))
    assert plan.samples.ids.tolist() == [3, 9, 30]
    assert not plan.training
    assert plan.digest == planner(seed=99).testing(np.array([3, 9, 30])).digest
    assert not plan.samples.flips.any()


def test_views_of_a_clip_take_other_frames() -> None:
    clip = np.array([int(np.argmax(SIXTY.clips.frames))])
    samples = [planner().testing(clip, view, 3).samples.numbers[0] for view in range(3)]
    assert np.all(samples[0] < samples[1])
    assert np.all(samples[1] < samples[2])
    assert np.array_equal(samples[1], planner().testing(clip).samples.numbers[0]), "the middle one is the centre"


def test_an_index_of_another_dataset_is_refused() -> None:
    index = index_of(SIXTY)
    with pytest.raises(FeedError, match="index of epoch 1 must have 60 clips like dataset 'sixty', but has 59"):
        planner().training(replace(index, labels=index.labels[:-1]))
    with pytest.raises(FeedError, match="names clip 60, but dataset 'sixty' has clips 0 to 59"):
        planner().training(replace(index, ids=np.array([0, 60])))


def test_a_quarantined_clip_is_refused_with_the_remedy() -> None:
    frames = SIXTY.clips.frames.copy()
    frames[7] = 0
    ill = replace(SIXTY, clips=SIXTY.clips.replace(frames=frames))
    with pytest.raises(
        FeedError, match=r"names clip 7, which the dataset has in quarantine: it has no frames.*`sciu-data check`"
    ):
        Planner(dataset=ill).training(index_of(ill))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"size": 0}, "size must be at least 1, but is 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"rank": 2, "world": 2}, "rank must be 0 to 1, but is 2"),
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        planner(**setting)
    with pytest.raises(SettingError, match="views must be 1 with uniform sampling"):
        planner(sampling=Sampling(how="uniform")).testing(np.array([1]), 0, 2)
