"""The command prints where its page is, ends cleanly, and what is decided there is what a training goes by."""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from flask import Flask
from invented_run import invented_run
from reviewing import ask, reviewed, serving, told
from training import Sciu, train

from sciu.pipeline.dataset import Dataset
from sciu.purification import Purifier
from sciu.tools.review.serving import MOST_BYTES


def status_of(address: str, path: str, said: dict[str, object] | None = None) -> int:
    with pytest.raises(HTTPError) as refused:
        ask(address, path, said)
    refused.value.close()
    return int(refused.value.code)


def is_waited_for(lock: Path) -> bool:
    waiting = [line for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
    return any(f":{lock.stat().st_ino} " in line for line in waiting)


# ---- what it prints, and where it listens


def test_the_address_has_a_line_of_its_own(tmp_path: Path) -> None:
    with serving(invented_run(tmp_path / "run")) as process:
        assert process.stdout is not None
        first, _, address, _, last = (process.stdout.readline() for _ in range(5))
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#token=[\w-]{43}\n", address)
        assert re.match(r"\d+ pruned and \d+ corrected clips, 0 of them decided by people\.", first)
        assert last == "Ctrl-C ends it; every decision is stored at once.\n"
        assert ask(address.strip(), "/session")["run"] == "run"


def test_a_decision_by_way_of_the_command_and_a_clean_end(sciu: Sciu, tmp_path: Path) -> None:
    run = invented_run(tmp_path / "run")
    with serving(run, "--json", "--who", "anna") as process:
        answer = told(process)
        assert answer["flagged"] == answer["pruned"] + answer["corrected"] > answer["decided"] == 0
        address = answer["address"]
        assert ask(address, "/session")["who"] == {"name": "anna", "asked": True}
        (clip,) = ask(address, "/queue?who=anna")["clips"]
        assert ask(address, f"/clips/{clip}/pin", {"action": "drop", "who": "anna", "seen": 0})["pin"]["who"] == "anna"
        assert status_of(address, f"/clips/{clip}/pin", {"action": "drop", "who": "x" * MOST_BYTES}) == 413
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (143, "Error: stopped by SIGTERM\n")
    with Purifier.open(run / "purifier", read_only=True) as purifier:
        assert purifier.history(clip)[-1].event.who == "anna"
    assert sciu("purify", "verify", run).code == 0


def test_the_keyboard_ends_it(tmp_path: Path) -> None:
    with serving(invented_run(tmp_path / "run"), "--json") as process:
        told(process)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (130, "sciu-review ended; decisions are in the store.\n")


def test_the_keyboard_ends_it_while_a_decision_waits_for_the_store(tmp_path: Path) -> None:
    """As it does while a training stores an epoch: all that is said is that it ended, and the store is whole."""
    run = invented_run(tmp_path / "run")
    with serving(run, "--json") as process, Purifier.open(run / "purifier", recording=False) as purifier:
        address = told(process)["address"]
        said: dict[str, object] = {"action": "drop", "who": "anna", "seen": 0}

        def decide() -> None:
            with suppress(OSError, HTTPException):  # that it gets no answer
                ask(address, "/clips/3/pin", said)

        deciding = threading.Thread(target=decide)
        with purifier.store.writing():
            deciding.start()
            while deciding.is_alive() and not is_waited_for(run / "purifier/store.lock"):
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
        deciding.join()
        assert (process.returncode, error) == (130, "sciu-review ended; decisions are in the store.\n")
        assert purifier.history(3) == []


def test_a_port_that_is_taken_is_one_line(sciu: Sciu, tmp_path: Path) -> None:
    run = invented_run(tmp_path / "run")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = sciu("review", run, "--port", port, "--no-browser")
    assert refused.code == 2
    assert refused.error() == (
        f"Error: --port must be free, but {port} cannot be listened on: Address already in use."
        " Choose another, or 0 for any that is free."
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["{tmp}/nothing"], 3, "must hold a purifier's store"),
        (["{run}", "--who", " "], 2, "--who must be a name"),
        (["{run}", "--port", "65536"], 2, "65536"),
        (["{run}", "--data", "{data}"], 2, "has other clips, labels or folds"),
    ],
)
def test_mistakes_are_one_line(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    places = {"tmp": tmp_path, "run": invented_run(tmp_path / "run"), "data": frame_faces.folder}
    answer = sciu("review", *(each.format(**places) for each in arguments), "--no-browser")
    assert answer.code == code
    assert said in answer.error()


def test_it_listens_on_this_machine_only_and_a_browser_is_told_its_address_by_a_file_of_its_own(
    sciu: Sciu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that returns only when it is closed gets the page all the same."""
    opened, listening, closed = threading.Event(), list[str](), threading.Event()
    seen: dict[str, object] = {}

    def browser(address: str) -> None:
        file = Path(url2pathname(urlsplit(address).path))
        seen.update(address=address, file=file, content=file.read_text(), modes=(mode(file), mode(file.parent)))
        opened.set()
        closed.wait(60)

    def serve(_app: Flask, listener: socket.socket) -> None:
        assert opened.wait(60)
        listening.append(listener.getsockname()[0])

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", browser)
    monkeypatch.setattr("sciu.tools.review.serving.serve", serve)
    answer = sciu("review", invented_run(tmp_path / "run"), "--json")
    closed.set()
    assert (answer.code, listening) == (0, ["127.0.0.1"])
    printed = answer.json["address"]
    assert printed.split("=")[1] not in str(seen["address"])
    assert f"url={printed}" in str(seen["content"])
    assert seen["modes"] == (0o600, 0o700)
    assert isinstance(seen["file"], Path)
    assert not seen["file"].parent.exists()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_without_a_display_no_browser_takes_the_terminal(
    sciu: Sciu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("webbrowser.open", lambda _address: pytest.fail("opened"))
    monkeypatch.setattr("sciu.tools.review.serving.serve", lambda *_: None)
    assert sciu("review", invented_run(tmp_path / "run")).code == 0


# ---- what a training makes of it


def test_decisions_are_what_a_resumed_and_a_new_training_go_by(
    sciu: Sciu, frame_faces: Dataset, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert train(sciu, frame_faces, run, "--no-cgp", "--no-fgc").code == 0  # nothing but what people decide
    with reviewed(run) as page:
        first, second, third = page.queue(kind="all", count=3)["clips"]
        given = page.get(f"/clips/{first}")["given"]
        page.pin(first, "label", (given + 1) % 7, who="anna")
        page.pin(second, "drop", who="ben")
        undone = page.pin(third, "drop", who="ben")
        assert page.say(f"/clips/{third}/undo", event=undone["undo"], who="ben").json["pin"] is None
    assert train(sciu, frame_faces, run, "--no-cgp", "--no-fgc", "--resume", "--epochs", 4).code == 0
    with Purifier.open(run / "purifier", read_only=True) as purifier:
        before, index = purifier.index_at(3), purifier.index_at(4)  # the third was open, and its index published
    assert index.labels[first] == (given + 1) % 7
    assert second not in index.ids
    assert (index.labels[third] >= 0) == (before.labels[third] >= 0)
    anew = train(sciu, frame_faces, tmp_path / "new", "--method", "plain", "--labels-from", run)
    assert anew.code == 0, anew.err
    with Purifier.open(tmp_path / "new/purifier", read_only=True) as purifier:
        assert purifier.given[first] == (given + 1) % 7
        assert second not in purifier.index_at(1).ids
