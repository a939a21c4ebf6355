"""A plane comes back from its bytes, and takes scores where it is told to and nowhere else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sciu.purification.store.score_plane import Plane


def plane_of(seed: int, clips: int, classes: int) -> Plane:
    """Any plane: a score for every clip, or none."""
    rng = np.random.default_rng(seed)
    return Plane(
        rng.integers(0, 2**31, clips, dtype=np.int32),
        rng.random(clips).astype(np.float16),
        rng.random((classes, clips)).astype(np.float16),
    )


def joined(plane: Plane) -> bytes:
    return b"".join(plane.buffers())


def same(one: Plane, other: Plane) -> bool:
    """The same shapes, types and bits."""
    return all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
    )


SEEDS, CLIPS, CLASSES = st.integers(0, 1000), st.integers(0, 9), st.integers(2, 8)


@given(SEEDS, CLIPS, CLASSES)
def test_there_and_back(seed: int, clips: int, classes: int) -> None:
    plane = plane_of(seed, clips, classes)
    content = joined(plane)
    assert len(content) == clips * (4 + 2 + 2 * classes)
    assert same(Plane.from_bytes(memoryview(content), clips, classes), plane)


@given(SEEDS, CLASSES, st.integers(0, 4), st.integers(4, 9))
def test_a_part_of_a_larger_one_is_written_as_if_it_stood_alone(seed: int, classes: int, start: int, end: int) -> None:
    """Its rows are not one after another in memory."""
    whole = plane_of(seed, 9, classes)
    part = Plane(whole.epoch_N[start:end], whole.weight_N[start:end], whole.probs_KN[:, start:end])
    assert same(Plane.from_bytes(memoryview(joined(part)), end - start, classes), part)


@given(SEEDS, st.lists(st.booleans(), max_size=9), CLASSES)
def test_scores_go_where_they_are_told_to(seed: int, where: list[bool], classes: int) -> None:
    clips = len(where)
    old, new = plane_of(seed, clips, classes), plane_of(seed + 1, clips, classes)
    before = joined(old)
    found = old.put(np.array(where, np.bool_), 7, new)
    for clip, put in enumerate(where):
        source = new if put else old
        assert found.epoch_N[clip] == (7 if put else old.epoch_N[clip])
        assert found.weight_N[clip] == source.weight_N[clip]
        assert np.array_equal(found.probs_KN[:, clip], source.probs_KN[:, clip])
    assert joined(old) == before, "which may be the store's own memory, and cannot be written to"
    assert len(joined(found)) == len(before), "the types are the same"


def test_an_empty_one_has_no_scores() -> None:
    plane = Plane.empty(3, 2)
    assert plane.epoch_N.tolist() == [0, 0, 0]
    assert joined(plane) == bytes(3 * (4 + 2 + 2 * 2))
