"""The server of `sciu-review`, in this process or its own, what its page would say, and decoders for its workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from flask.testing import FlaskClient

from sciu.tools.review.access import Access
from sciu.tools.review.app import create_app
from sciu.tools.review.desk import Desk, opened_desk
from sciu.tools.review.transcode import Source, Video, transcode
from sciu.tools.review.videos import Videos

PORT = 4711
ORIGIN = f"http://127.0.0.1:{PORT}"


@dataclass(frozen=True)
class Reply:
    """What the server answered."""

    status: int
    kind: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode()

    @property
    def json(self) -> Any:
        """The content as JSON."""
        return json.loads(self.content)


class Page:
    """A tab of a browser that was let in: each answer is read completely."""

    def __init__(self, client: FlaskClient, desk: Desk, access: Access) -> None:
        self.client = client
        self.desk = desk
        self.access = access

    def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> Reply:
        """Send a request as the page does; headers replace its own, and an empty one is left out."""
        own = {"Authorization": f"Bearer {self.access.token}", "Origin": ORIGIN, "Host": f"127.0.0.1:{PORT}"}
        chosen = {name: value for name, value in {**own, **(headers or {})}.items() if value}
        with self.client.open(path, method=method, headers=chosen, **more) as answer:
            return Reply(answer.status_code, str(answer.mimetype), dict(answer.headers), answer.get_data())

    def get(self, path: str) -> Any:
        """Return what is answered, in JSON."""
        answer = self.send("GET", path)
        assert answer.status == 200, answer.text
        return answer.json

    def queue(self, **wanted: object) -> Any:
        """Return the next clips of a queue."""
        return self.get("/queue?" + "&".join(f"{name}={value}" for name, value in wanted.items()))

    def say(self, path: str, **said: object) -> Reply:
        """Say something."""
        return self.send("POST", path, data=json.dumps(said), content_type="application/json")

    def pin(self, clip: int, action: str, label: int | None = None, who: str = "anna", why: str = "") -> Any:
        """Decide about a clip, as it is now."""
        seen = self.get(f"/clips/{clip}")["events"]
        answer = self.say(f"/clips/{clip}/pin", action=action, label=label, who=who, why=why, seen=seen)
        assert answer.status == 200, answer.text
        return answer.json


@contextmanager
def reviewed(
    run: Path, data: Path | None = None, make: Callable[[Source], Video] = transcode, kept: int = 1_000_000
) -> Iterator[Page]:
    """Open a run for reviewers."""
    with opened_desk(run, data) as desk, Videos(desk.dataset, kept=kept, make=make) as videos:
        access = Access(PORT)
        app = create_app(desk, videos, access, run=run.name, reviewer={"name": "anna", "asked": True})
        yield Page(app.test_client(use_cookies=False), desk, access)


@contextmanager
def serving(run: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command, without a browser."""
    command = [sys.executable, "-m", "sciu.tools.review", str(run), "--no-browser", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what the command prints with `--json`."""
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def ask(address: str, path: str, said: dict[str, object] | None = None, origin: str | None = None) -> Any:
    """Ask the server as a program that has its address."""
    base, token = address.split("/#token=")
    headers = {"Authorization": f"Bearer {token}", "Origin": origin or base, "Content-Type": "application/json"}
    body = None if said is None else json.dumps(said).encode()
    with urlopen(Request(f"{base}{path}", body, headers)) as answer:
        return json.load(answer)


def crash_or_draw(source: Source) -> Video:
    """Die at the third clip, as a decoder would."""
    if source.path.stem.endswith("2"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return Video(str(source.path).encode())


def hang(_source: Source) -> Video:
    """Be a decoder that never returns."""
    time.sleep(1000)
    return Video()


def thousand_bytes(source: Source) -> Video:
    """Be a video of a known size; say in which process it was made."""
    return Video(f"{os.getpid()} ".encode().ljust(1000))
