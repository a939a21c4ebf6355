"""Nothing acknowledged is ever lost: kill -9, a full disk, forks, second processes, media that cannot be written."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import noisy_clips
import pytest
from noisy_clips import begin, one_epoch
from store_tasks import compact_too, end_epoch_with_little_room, events_seen, pin_too

from sciu.purification import EpochIndex, Purifier, PurifierError, WriteFailedError
from sciu.purification.care.audit import audit
from sciu.purification.index import published_epochs
from sciu.purification.store.store import Store


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path, kills: int) -> None:
    chance = random.Random(0)
    store, index, acknowledged = tmp_path / "purifier", tmp_path / "index", 0
    for _ in range(kills):
        with subprocess.Popen([sys.executable, noisy_clips.__file__, tmp_path], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()  # at least one epoch, then any moment
            time.sleep(chance.uniform(0, 0.1))
            writer.send_signal(signal.SIGKILL)
            said = writer.stdout.read().split()
        acknowledged = max([acknowledged + 1, *(int(epoch) for epoch in said)])
        with Purifier.open(store) as purifier:
            assert purifier.epoch >= acknowledged
            for epoch in published_epochs(index)[-3:]:
                files = purifier.index_at(epoch).files()
                assert all((index / name).read_bytes() == content for name, content in files.items())
                EpochIndex.read(index, epoch)
    assert audit(store, index) == []


def test_a_killed_creation_is_begun_again(tmp_path: Path) -> None:
    store = Store(tmp_path, create=True)
    store.close()
    with pytest.raises(PurifierError, match="a store that was never finished. `Purifier.create` creates it again"):
        Purifier.open(tmp_path)
    begin(tmp_path).close()
    Purifier.open(tmp_path).close()


def test_a_full_disk_at_every_page_costs_nothing(tmp_path: Path) -> None:
    with begin(tmp_path / "whole") as purifier:
        for _ in range(2):
            one_epoch(purifier)
    shutil.copytree(tmp_path / "whole", tmp_path / "undisturbed")
    with Purifier.open(tmp_path / "undisturbed") as purifier:
        expected = one_epoch(purifier).files()
    sayings = []
    with get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        folders = [shutil.copytree(tmp_path / "whole", tmp_path / str(page)) for page in range(0, 24, 2)]
        rooms = [4096 * page + 1024 for page in range(0, 24, 2)]
        for said, files in pool.starmap(end_epoch_with_little_room, zip(folders, rooms, strict=True), chunksize=1):
            assert files == expected
            sayings.append(said)
    assert f"'{tmp_path / '0/data.mdb'}' cannot be written: " in sayings[0], "the file is named"
    assert "Nothing acknowledged is lost" in sayings[0]
    assert sayings[-1] == ""
    assert "something changed" not in sayings


def test_a_full_disk_names_the_file_that_found_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path).close()
    (tmp_path / "lock.mdb").unlink()

    def refuse(*_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(PurifierError, match=r"lock.mdb' cannot be opened: No space"):
        patched.setattr("os.posix_fallocate", refuse)
        Purifier.open(tmp_path)
    purifier = Purifier.open(tmp_path)
    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(WriteFailedError, match=r".data.mdb.partial' cannot be written: No space left on device"):
        purifier.store.compact()


def test_a_forked_child_must_open_its_own(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        child = os.fork()
        if not child:
            try:
                one_epoch(purifier)
            except PurifierError as error:
                os._exit(7 if "was opened in process" in str(error) else 8)
            os._exit(9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        one_epoch(purifier)


@pytest.mark.parametrize("recording", [True, False])
def test_one_process_records_and_others_may_pin(tmp_path: Path, recording: bool) -> None:
    with begin(tmp_path) as purifier:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            said = pool.submit(pin_too, tmp_path, recording).result()
        assert said == "pinned" or (recording and "is being recorded to by another process" in said)
        assert (0 in one_epoch(purifier).ids) == recording


def test_network_file_systems_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sciu.purification.store.network._file_system", lambda _: ("nfs4", "/mnt/data"))
    with pytest.raises(
        PurifierError, match=r"must be on a local disk, but '/mnt/data' is a network file system \(nfs4\)"
    ):
        begin(tmp_path / "store")
    assert not (tmp_path / "store").exists()
    begin(tmp_path / "store", network=True).close()


def test_media_that_cannot_be_written_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with begin(tmp_path) as purifier:
        expected = one_epoch(purifier).files()
    (tmp_path / "lock.mdb").unlink()
    monkeypatch.setattr("os.access", lambda *_: False)
    with Purifier.open(tmp_path, read_only=True) as purifier:
        assert purifier.index().files() == expected
        with pytest.raises(PurifierError, match="was opened for reading only"):
            purifier.pin(0, "drop")
    assert not (tmp_path / "lock.mdb").exists()


def test_the_file_stops_growing(tmp_path: Path) -> None:
    """Only the history grows, by no more than a page or two per event."""
    with begin(tmp_path) as purifier:
        sizes = []
        for _ in range(60):
            one_epoch(purifier)
            sizes.append((tmp_path / "data.mdb").stat().st_size)
    assert sizes[-1] - sizes[10] <= 50 * 2 * 4096


def test_compacting_keeps_everything(tmp_path: Path) -> None:
    with begin(tmp_path) as purifier:
        for _ in range(6):
            files = one_epoch(purifier).files()
        before, after = purifier.store.compact()
    assert after < before
    with Purifier.open(tmp_path) as purifier:
        assert purifier.index().files() == files
    assert audit(tmp_path) == []


def test_a_copy_or_a_refused_open_in_the_recorder_gives_up_no_lock(tmp_path: Path) -> None:
    """POSIX record locks end with any descriptor of the file that the process closes; these must not."""
    with begin(tmp_path / "store") as purifier:
        shutil.copytree(tmp_path / "store", tmp_path / "copy")
        with pytest.raises(PurifierError, match="already open in this process"):
            Purifier.open(tmp_path / "store", read_only=True)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            assert "is being recorded to" in pool.submit(pin_too, tmp_path / "store", True).result()
            pins = [pool.submit(pin_too, tmp_path / "store", False) for _ in range(20)]
            for _ in range(20):
                one_epoch(purifier)
            assert {pin.result() for pin in pins} == {"pinned"}
    assert audit(tmp_path / "store") == []


def test_a_late_creation_leaves_the_first_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with begin(tmp_path) as purifier:
        files = one_epoch(purifier).files()
    monkeypatch.setattr("sciu.purification.creation._has_content", lambda _: False)
    with pytest.raises(PurifierError, match="must be new or empty, but holds a store already"):
        begin(tmp_path)
    with Purifier.open(tmp_path) as purifier:
        assert purifier.index().files() == files


def test_a_forked_child_holds_no_claim(tmp_path: Path) -> None:
    purifier = begin(tmp_path)
    ready, told = os.pipe()
    child = os.fork()
    if not child:
        os.write(told, b"x")  # by now the fork's own handlers have run in the child
        signal.pause()
        os._exit(0)
    try:
        os.read(ready, 1)
        purifier.close()
        Purifier.open(tmp_path).close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(told)


def test_nobody_compacts_what_another_has_open(tmp_path: Path) -> None:
    begin(tmp_path).close()
    with Purifier.open(tmp_path, recording=False), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert "is open by another process" in pool.submit(compact_too, tmp_path).result()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(compact_too, tmp_path).result() == "compacted"


def test_a_store_outgrows_the_addresses_that_it_was_opened_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The averages of ten million clips fill 64 GiB after some hundred epochs."""
    with begin(tmp_path / "large") as large:
        monkeypatch.setattr("sciu.purification.store.store._MAP_SIZE", 1 << 16)
        with begin(tmp_path / "small") as small, get_context("spawn").Pool(1) as reader:
            assert reader.apply(events_seen, (tmp_path / "small", 1 << 16)) == 1
            for _ in range(60):
                assert one_epoch(small).labels.tolist() == one_epoch(large).labels.tolist()
            assert reader.apply(events_seen, (tmp_path / "small", 1 << 16)) == 61, "who has it open grows with it"
        assert (tmp_path / "small/data.mdb").stat().st_size > 1 << 16
        with Purifier.open(tmp_path / "small") as again:
            assert again.index().labels.tolist() == large.index().labels.tolist()
    assert audit(tmp_path / "small") == []
