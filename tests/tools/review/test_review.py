"""The command prints where its page is, ends cleanly, and what is decided there is what a training goes by."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from invented_run import invented_run
from reviewing import reviewed, serving, told
from training import Sciu, train

from sciu.pipeline.dataset import Dataset
from sciu.purification import Purifier
from sciu.tools.review.serving import MOST_BYTES


def ask(address: str, path: str, said: dict[str, object] | None = None, origin: str | None = None) -> Any:
    """Ask the server as a program that has its address."""
    base, token = address.split("/?token=")
    headers = {"Authorization": f"Bearer {token}", "Origin": origin or base, "Content-Type": "application/json"}
    body = None if said is None else json.dumps(said).encode()
    with urlopen(Request(f"{base}{path}", body, headers)) as answer:
        return json.load(answer)


def status_of(address: str, path: str, said: dict[str, object] | None = None) -> int:
    with pytest.raises(HTTPError) as refused:
        ask(address, path, said)
    refused.value.close()
    return int(refused.value.code)


# ---- what it prints, and where it listens


def test_the_address_has_a_line_of_its_own(tmp_path: Path) -> None:
    with serving(invented_run(tmp_path / "run")) as process:
        assert process.stdout is not None
        first, _, address, _, last = (process.stdout.readline() for _ in range(5))
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}\n", address)
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
        assert ask(address, f"/clips/{clip}/pin", {"action": "drop", "who": "anna"})["pin"]["who"] == "anna"
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
    assert (process.returncode, error.strip()) == (130, "Error: stopped by the keyboard (SIGINT)")


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


def test_it_listens_on_this_machine_only_and_opens_a_browser_with_an_address_that_works_once(
    sciu: Sciu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(
        "sciu.tools.review.serving.serve", lambda _app, listener: opened.append(listener.getsockname()[0])
    )
    answer = sciu("review", invented_run(tmp_path / "run"), "--json")
    assert answer.code == 0
    assert opened[1:] == ["127.0.0.1"]
    once, printed = opened[0].split("?token="), answer.json["address"].split("?token=")
    assert once[0] == printed[0]
    assert once[1] != printed[1]


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
        page.say(f"/clips/{third}/undo", event=undone["undo"], who="ben")
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
