"""Whatever a store and the files of an index hold, they are read, or refused in a line of ours."""

from __future__ import annotations

import hashlib
import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from hypothesis import strategies as st
from mutated import contents, feed, values
from noisy_clips import CLASSES, POLICY, begin, one_epoch

from sciu.purification import Auto, EpochIndex, Pin, Purifier
from sciu.purification.care.audit import audit
from sciu.purification.care.explain import reason
from sciu.purification.care.report import Report, health, rows_of
from sciu.purification.event import Event
from sciu.purification.rules.policy import Policy
from sciu.purification.rules.registry import policy_from_json, policy_to_json

SECONDS = pytest.mark.parametrize("examples", [100, pytest.param(2_000, marks=pytest.mark.slow)])
FEW = pytest.mark.parametrize("examples", [25, pytest.param(500, marks=pytest.mark.slow)])
POLICIES: tuple[Policy, ...] = (POLICY, Auto(act_after=1))
JSON = ("meta", "head", "transaction", "opened/00003", "event/00000003", "event/00000005")
BYTES = (
    "lines/0000", "given/0000", "label/0000", "status/0000", "slot/0000", "fresh/0000", "plane/01/0000",
    "running/00003/0000", "rows/00000003/0000", "meta", "event/00000003",
)  # fmt: skip


# ---- the files of an index


@pytest.fixture
def index(tmp_path: Path) -> Path:
    with begin(tmp_path / "store", policy=Auto(act_after=1)) as purifier:
        for _ in range(2):
            one_epoch(purifier).write(tmp_path / "index")
    return tmp_path / "index"


def use_index(folder: Path) -> None:
    read = EpochIndex.read(folder, 3)
    assert len(read.labels[read.ids]) == len(read.ids) >= len(read.score_only)
    assert read.targets is None or np.isfinite(read.targets["pull"][read.ids]).size == len(read.ids)


@SECONDS
def test_headers_of_an_index(index: Path, examples: int) -> None:
    header = index / "epoch_00003.json"
    whole = header.read_bytes()

    def read(content: bytes) -> None:
        header.write_bytes(content)
        use_index(index)

    feed(examples, values(json.loads(whole)).map(as_json) | contents(whole), read, whole=whole)


@SECONDS
@pytest.mark.parametrize("name", ["list", "labels.npy", "targets.npy"])
@pytest.mark.parametrize("forged", [False, True])
def test_other_files_of_an_index(index: Path, name: str, forged: bool, examples: int) -> None:
    """Also with the hash that belongs to what they hold now."""
    header, path = index / "epoch_00003.json", index / f"epoch_00003.{name}"
    whole = json.loads(header.read_text())

    def read(content: bytes) -> None:
        path.write_bytes(content)
        if forged:
            digest = hashlib.sha256(content).hexdigest()
            header.write_text(json.dumps({**whole, "sha256": {**whole["sha256"], path.name: digest}}))
        use_index(index)

    feed(examples, contents(path.read_bytes()), read, whole=path.read_bytes())


# ---- a store


def as_json(content: Any) -> bytes:
    return json.dumps(content).encode()


class Forger:
    """A store of which one block at a time is another, with the checksum that belongs to it."""

    def __init__(self, folder: Path, policy: Policy) -> None:
        self.folder = folder
        with begin(folder, policy=policy) as purifier:
            for _ in range(4):
                one_epoch(purifier)
            purifier.pin(3, "label", label=1, why="seen")
            purifier.undo(clip=3)
            purifier.quarantine([5], "green")
            with purifier.store.reading() as transaction:
                self.blocks = {key: bytes(transaction.get(key)) for key in list(transaction.keys())}
        self.whole = (folder / "data.mdb").read_bytes()

    def put(self, key: str, content: bytes) -> None:
        (self.folder / "data.mdb").write_bytes(self.whole)
        (self.folder / "last_event").unlink(missing_ok=True)
        checksum = zlib.crc32(content, zlib.crc32(key.encode())).to_bytes(4, "little")
        with lmdb.open(str(self.folder), map_size=1 << 30) as raw, raw.begin(write=True) as transaction:
            transaction.put(key.encode(), content + checksum)
            if key != "transaction":
                number = str(transaction.id()).encode()
                sealed = zlib.crc32(number, zlib.crc32(b"transaction")).to_bytes(4, "little")
                transaction.put(b"transaction", number + sealed)


def use_store(folder: Path) -> None:
    """Read, audit and go on."""
    audit(folder)
    with Purifier.open(folder) as purifier:
        for past in purifier.indexes():
            assert past.files()
        report = Report.of(purifier)
        assert rows_of(report, purifier, report.chosen("all"))
        assert health(report, purifier).to_json()
        for clip in (0, 3, 5):
            purifier.scores(clip)
            assert all(reason(purifier, entry.event, entry.row) for entry in purifier.history(clip))
        purifier.pin(3, "drop")
        purifier.undo(clip=3)
        one_epoch(purifier)
        purifier.undo(epoch=3)  # the first after which both policies changed labels


@FEW
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.method)
def test_blocks_of_a_store(tmp_path: Path, policy: Policy, examples: int) -> None:
    forger = Forger(tmp_path / "store", policy)

    def forged(key: str, change: Callable[[bytes], st.SearchStrategy[bytes]]) -> st.SearchStrategy[tuple[str, bytes]]:
        return change(forger.blocks[key]).map(lambda content: (key, content))

    def read(block: tuple[str, bytes]) -> None:
        forger.put(*block)
        use_store(tmp_path / "store")

    in_json = [forged(key, lambda whole: values(json.loads(whole)).map(as_json)) for key in JSON[:2] + JSON[4:]]
    in_bytes = [forged(key, contents) for key in (*BYTES, *JSON) if key in forger.blocks]
    feed(examples * 4, st.one_of(in_json + in_bytes), read, whole=("meta", forger.blocks["meta"]))


@SECONDS
def test_bytes_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    """Without a checksum that belongs to them."""
    monkeypatch.setattr("time.sleep", lambda _: None)  # while a writer may be at work, the pages are audited again
    forger = Forger(tmp_path / "store", POLICY)

    def read(content: bytes) -> None:
        shutil.rmtree(tmp_path / "store")
        (tmp_path / "store").mkdir()
        (tmp_path / "store/data.mdb").write_bytes(content)
        use_store(tmp_path / "store")

    feed(examples, contents(forger.whole), read, whole=forger.whole)


@SECONDS
def test_numbers_of_the_last_event(tmp_path: Path, examples: int) -> None:
    begin(tmp_path).close()

    def read(content: bytes) -> None:
        (tmp_path / "last_event").write_bytes(content)
        Purifier.open(tmp_path).close()

    digits = st.integers(0, 5_000).map(lambda count: b"9" * count)
    whole = (tmp_path / "last_event").read_bytes()
    feed(examples, contents(whole) | digits, read, whole=whole)


# ---- events, policies and revisions


@SECONDS
def test_events(examples: int) -> None:
    event = Event.now("epoch", thresholds={"pull": 3.0}, spared={"all": 2}, transition=[[0.9, 0.1], [0.2, 0.8]])
    whole = event.to_json()
    feed(examples, values(whole), lambda content: Event.from_json(content).to_json(), whole=whole)


@SECONDS
@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.method)
def test_policies(policy: Policy, examples: int) -> None:
    whole = policy_to_json(policy)
    feed(examples, values(whole), lambda content: policy_from_json(content).remarks(), whole=whole)


@SECONDS
def test_revisions(tmp_path: Path, examples: int) -> None:
    with begin(tmp_path) as purifier:

        def review(content: dict[str, Any]) -> None:
            purifier.review([Pin(**content)])

        pin = {"clip": 3, "action": "label", "label": 1, "who": "anna", "why": "seen"}
        feed(examples, values(pin).filter(lambda content: content.keys() == pin.keys()), review, whole=pin)
        assert purifier.states().label.max() < CLASSES
