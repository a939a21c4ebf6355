"""What the page asks and says: a file, an answer in JSON, a video."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, abort, request, send_file
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from sciu.pipeline.errors import SettingError
from sciu.purification import PolicyError, PurifierError
from sciu.purification.errors import ChangedError
from sciu.tools import report
from sciu.tools.purify.review import ACTIONS
from sciu.tools.review.access import Access
from sciu.tools.review.choosing import Wanted
from sciu.tools.review.desk import Decision, Desk, NoClipError
from sciu.tools.review.serving import MOST_BYTES
from sciu.tools.review.videos import Videos

_MOST_ASKED = 50  # clips of a queue at once
_LONGEST_NAME, _LONGEST_REASON = 100, 1_000
_PAGE = Path(__file__).parent / "page"
_FILES = {
    "page.js": _PAGE / "page.js",
    "page.css": _PAGE / "page.css",
    "report.css": Path(report.__file__).parent / "template/page.css",  # on which the page's own style builds
}
_STATUS = {
    NoClipError: HTTPStatus.NOT_FOUND,
    ChangedError: HTTPStatus.CONFLICT,
    SettingError: HTTPStatus.BAD_REQUEST,
    PolicyError: HTTPStatus.BAD_REQUEST,
    PurifierError: HTTPStatus.SERVICE_UNAVAILABLE,  # a full disk, a store that was sealed
}


def create_app(desk: Desk, videos: Videos, access: Access, *, run: str, reviewer: Mapping[str, Any]) -> Flask:
    """Return the application of a desk, which tells those who have the token; the page's own files have no secrets."""
    folder = str(_PAGE)  # named in full: Flask cannot find folders of a namespace package
    app = Flask("sciu-review", root_path=folder, instance_path=folder, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined] # of its default provider
    access.protect(app)
    answers = _Answers(desk, videos, {"run": run, "who": dict(reviewer)})
    rules: dict[str, Callable[..., ResponseReturnValue]] = {
        "/": answers.page, "/static/<name>": answers.static, "/session": answers.session, "/now": answers.now,
        "/queue": answers.queue, "/clips/<clip>": answers.clip, "/clips/<clip>/video": answers.video,
    }  # fmt: skip
    for rule, answer in rules.items():
        app.add_url_rule(rule, answer.__name__, answer, methods=["GET"])
    for rule, answer in {"/clips/<clip>/pin": answers.pin, "/clips/<clip>/undo": answers.undo}.items():
        app.add_url_rule(rule, answer.__name__, answer, methods=["POST"])
    app.register_error_handler(HTTPException, _refused)
    for kind, status in _STATUS.items():
        app.register_error_handler(kind, lambda error, status=status: ({"error": str(error)}, status))
    return app


def _refused(error: HTTPException) -> tuple[dict[str, Any], int]:
    return {"error": error.description}, error.code or HTTPStatus.INTERNAL_SERVER_ERROR


class _Answers:
    """One method for each thing that is asked."""

    def __init__(self, desk: Desk, videos: Videos, session: dict[str, Any]) -> None:
        self._desk = desk
        self._videos = videos
        self._session = session

    def page(self) -> ResponseReturnValue:
        return send_file(_PAGE / "page.html")

    def static(self, name: str) -> ResponseReturnValue:
        return send_file(_FILES[name]) if name in _FILES else abort(HTTPStatus.NOT_FOUND)

    def session(self) -> ResponseReturnValue:
        classes = list(self._desk.purifier.class_names)
        return {**self._session, "classes": classes, "sealed": self._desk.sealed}

    def now(self) -> ResponseReturnValue:
        return self._desk.now()

    def queue(self) -> ResponseReturnValue:
        asked = request.args
        names = ("kind", "order", "which", "who")
        given: dict[str, Any] = {name: asked[name] for name in names if name in asked}
        if "pair" in asked:
            given["pair"] = _pair(asked["pair"])
        after = _number(asked["after"]) if "after" in asked else None
        return self._desk.queue(Wanted(**given), after, min(_number(asked.get("count", "1")), _MOST_ASKED))

    def clip(self, clip: str) -> ResponseReturnValue:
        return self._desk.clip(_number(clip))

    def video(self, clip: str) -> ResponseReturnValue:
        number = _number(clip)
        self._desk.require(number)
        video = self._videos.get(number)
        status = HTTPStatus.OK if video.content else HTTPStatus.NO_CONTENT
        return Response(video.content, status, mimetype="video/webm", headers={"Sciu-Note": quote(video.note)})

    def pin(self, clip: str) -> ResponseReturnValue:
        said = _said()
        action, label = said.get("action"), said.get("label")
        if action not in ACTIONS:
            abort(HTTPStatus.BAD_REQUEST, f"action must be one of {list(ACTIONS)}, but is {action!r}.")
        if label is not None and type(label) is not int:
            abort(HTTPStatus.BAD_REQUEST, f"label must be the number of a class, but is {label!r}.")
        decision = Decision(
            action=action, label=label, who=_text(said, "who", _LONGEST_NAME, needed=True),
            why=_text(said, "why", _LONGEST_REASON), seen=_count(said, "seen", "how many events the page knew of"),
        )  # fmt: skip
        return self._desk.decide(_number(clip), decision)

    def undo(self, clip: str) -> ResponseReturnValue:
        said = _said()
        event = _count(said, "event", "the number of the event to undo")
        return self._desk.undo(_number(clip), event, _text(said, "who", _LONGEST_NAME, needed=True))


def _number(text: str) -> int:
    """Read the number of a clip, or of clips."""
    if not re.fullmatch("[0-9]{1,9}", text):
        abort(HTTPStatus.NOT_FOUND, "A clip is addressed by its number.")
    return int(text)


def _pair(text: str) -> tuple[int, int]:
    """Read a given and a proposed label, as in `3,5` or, where none is proposed, `3,-1`."""
    if not re.fullmatch("[0-9]{1,5},(-1|[0-9]{1,5})", text):
        abort(HTTPStatus.BAD_REQUEST, f"pair must be two numbers of classes, but is {text!r}.")
    given, proposed = text.split(",")
    return int(given), int(proposed)


def _said() -> dict[str, Any]:
    """Return what the page says: an object in JSON."""
    try:
        said = json.loads(request.get_data()) if request.is_json else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        abort(HTTPStatus.BAD_REQUEST, "The body must be an object in JSON.")
    return said


def _text(said: Mapping[str, Any], name: str, longest: int, *, needed: bool = False) -> str:
    text = said.get(name, "")
    if not isinstance(text, str) or len(text) > longest or (needed and not text.strip()):
        some = f"a text of 1 to {longest}" if needed else f"a text of at most {longest}"
        abort(HTTPStatus.BAD_REQUEST, f"{name} must be {some} characters.")
    return text.strip()


def _count(said: Mapping[str, Any], name: str, what: str) -> int:
    number = said.get(name)
    if type(number) is not int or number < 0:
        abort(HTTPStatus.BAD_REQUEST, f"{name} must be {what}, but is {number!r}.")
    return number
