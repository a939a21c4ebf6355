"""Damage is found and named, damaged data is never returned, and what the history knows is repaired."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from noisy_clips import begin, one_epoch

from sciu.purification import DamagedError, Purifier, PurifierError
from sciu.purification.care.audit import audit
from sciu.purification.care.repair import repair
from sciu.purification.clip_state import ROW
from sciu.purification.store.store import Store, Transaction


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    with begin(tmp_path / "purifier") as purifier:
        purifier.index().write(tmp_path / "index")
        for _ in range(5):
            one_epoch(purifier).write(tmp_path / "index")
        purifier.pin(3, "drop")
    yield tmp_path
    shutil.rmtree(tmp_path)


def damage(store: Path, key: str) -> None:
    """Change one bit of a block."""
    opened = Store(store)
    with opened._env.begin(write=True) as raw:
        value = bytearray(raw.get(key.encode()))
        value[len(value) // 3] ^= 4
        raw.put(key.encode(), bytes(value))
        if key != "transaction":
            Transaction(raw, store).put_json("transaction", raw.id())
    opened.close()


def lose(store: Path, key: str) -> None:
    """Remove a block."""
    opened = Store(store)
    with opened._env.begin(write=True) as raw:
        Transaction(raw, store).put_json("transaction", raw.id())
        raw.delete(key.encode())
    opened.close()


def test_a_sound_store(run: Path) -> None:
    assert audit(run / "purifier", run / "index") == []


KEYS = ("label/0000", "status/0000", "slot/0000", "fresh/0000", "plane/01/0000")


@pytest.mark.parametrize("key", [*KEYS, "lines/0000", "given/0000", "event/00000003", "rows/00000003/0000"])
def test_a_damaged_block_is_named_and_not_served(run: Path, key: str) -> None:
    damage(run / "purifier", key)
    problems = audit(run / "purifier", run / "index")
    assert [problem.where.split(" ")[0] for problem in problems] == [key]
    assert problems[0].left
    with pytest.raises(DamagedError, match=f"block '{key}' .* is damaged: its checksum does not match"):
        use_everything(run / "purifier")


@pytest.mark.parametrize("key", ["label/0000", "plane/01/0000", "lines/0000", "rows/00000003/0000", "opened/00002"])
def test_a_missing_block_is_named_and_not_served(run: Path, key: str) -> None:
    lose(run / "purifier", key)
    problems = audit(run / "purifier", run / "index")
    assert key in problems[0].where or f"'{key}' is missing" in problems[0].what
    with pytest.raises(DamagedError, match=f"block '{key}' .*is missing"):
        use_everything(run / "purifier")
        with Purifier.open(run / "purifier") as purifier:
            list(purifier.indexes())


@pytest.mark.parametrize("key", ["head", "meta", "transaction"])
def test_without_these_nothing_can_be_read(run: Path, key: str) -> None:
    lose(run / "purifier", key)
    assert audit(run / "purifier", run / "index")
    with pytest.raises(DamagedError):
        Purifier.open(run / "purifier")


def test_the_witness_notices_an_old_copy(run: Path) -> None:
    data = run / "purifier/data.mdb"
    old = data.read_bytes()
    with Purifier.open(run / "purifier") as purifier:
        one_epoch(purifier)
    data.write_bytes(old)
    with pytest.raises(DamagedError, match="is damaged or an old copy: it has 7 events, but there were 8"):
        Purifier.open(run / "purifier")
    (run / "purifier/last_event").unlink()
    Purifier.open(run / "purifier").close()


@pytest.mark.parametrize(("byte", "bit"), [(144, 1), (144, 0), (149, 0), (44, 2), (92, 2)])
@pytest.mark.parametrize("page", [0, 1])
def test_no_flip_in_a_meta_page_goes_unnoticed(run: Path, page: int, byte: int, bit: int) -> None:
    """Of the transaction's number (144 on) and of the trees' flags (44, 92)."""
    data = run / "purifier/data.mdb"
    content = bytearray(data.read_bytes())
    content[4096 * page + byte] ^= 1 << bit
    data.write_bytes(content)
    with pytest.raises(DamagedError):
        Purifier.open(run / "purifier")
    assert audit(run / "purifier", run / "index")


def use_everything(store: Path) -> None:
    """Read and write everything that an epoch needs."""
    with Purifier.open(store) as purifier:
        purifier.index()
        purifier.events()
        one_epoch(purifier)


@pytest.mark.parametrize("key", KEYS)
def test_what_history_knows_is_mended(run: Path, key: str) -> None:
    with Purifier.open(run / "purifier") as purifier:
        truth, index = purifier.states(), purifier.index().files()
    damage(run / "purifier", key)
    assert repair(run / "purifier") == [key]
    assert audit(run / "purifier", run / "index") == []
    with Purifier.open(run / "purifier") as purifier:
        states = purifier.states()
        assert (states.label == truth.label).all()
        assert (states.status == truth.status).all()
        assert purifier.index().files() == index
        one_epoch(purifier)
        one_epoch(purifier)


def test_what_history_does_not_know_is_not_invented(run: Path) -> None:
    damage(run / "purifier", "given/0000")
    with pytest.raises(DamagedError, match="cannot be repaired: given/0000 is damaged. Restore a copy"):
        repair(run / "purifier")


def test_flipped_bits_are_never_served(run: Path) -> None:
    data = run / "purifier/data.mdb"
    sound = data.read_bytes()
    with Purifier.open(run / "purifier", read_only=True) as purifier:
        truth, index = purifier.states(), purifier.index().files()
    chance, found = random.Random(0), 0
    for _ in range(150):
        content = bytearray(sound)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        data.write_bytes(content)
        problems = audit(run / "purifier", run / "index")
        found += bool(problems)
        try:
            with Purifier.open(run / "purifier", read_only=True) as purifier:
                states = purifier.states()
                assert purifier.index().files() == index
                assert all(np.array_equal(getattr(states, name), getattr(truth, name)) for name in truth.CHANGING)
        except PurifierError:
            assert problems, "what is refused is also named"
    assert found > 10  # of 150: most bytes of so small a store are free pages


def test_a_decision_that_its_scores_do_not_bear_out_is_named(run: Path) -> None:
    with begin(run / "other") as purifier:
        for _ in range(3):
            one_epoch(purifier)
        with purifier.store.writing() as transaction:
            rows = transaction.get_array("rows/00000003/0000", ROW)
            rows["confidence"][0] = 0.123
            transaction.put_array("rows/00000003/0000", rows)
    (problem,) = audit(run / "other")
    assert problem.where == "epoch 3"
    assert "1 decisions are not what their scores say" in problem.what


def test_indexes_that_are_not_the_stores_are_named(run: Path) -> None:
    (run / "index/epoch_00002.list").write_text("junk 1\n")
    with begin(run / "shorter") as purifier:
        for _ in range(2):
            one_epoch(purifier)
    assert [problem.where for problem in audit(run / "purifier", run / "index")] == ["index of epoch 2"]
    older = audit(run / "shorter", run / "index")
    assert {problem.where for problem in older} >= {"index of epoch 4", "index of epoch 5", "index of epoch 6"}
    assert "is newer than the store, which is at epoch 3" in older[-1].what


def test_a_cut_file_is_named(run: Path) -> None:
    data = run / "purifier/data.mdb"
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    assert audit(run / "purifier")[0].where == "pages"
    with pytest.raises(DamagedError, match="is damaged: .* Take a copy of it"):
        Purifier.open(run / "purifier")
