"""Only a page that was opened with the token is answered, only by its own words, and only what is asked rightly."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from invented_run import invented_run
from noisy_clips import CLIPS
from reviewing import ORIGIN, PORT, Page, reviewed

from sciu.tools.review.choosing import following
from sciu.tools.review.serving import MOST_BYTES

OPEN = ("/", "/static/page.js", "/static/page.css", "/static/report.css")
TOLD = ("/session", "/now", "/queue", "/clips/3", "/clips/3/video")
READ = (*OPEN, *TOLD)
WRITTEN = ("/clips/3/pin", "/clips/3/undo")
KEEP = {"action": "keep", "who": "anna", "seen": 0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return invented_run(tmp_path_factory.mktemp("run") / "run")


@pytest.fixture(scope="module")
def page(run: Path) -> Iterator[Page]:
    with reviewed(run) as page:
        yield page


@pytest.fixture(autouse=True)
def nothing_is_decided(page: Page) -> Iterator[None]:
    yield
    assert page.queue(kind="all")["decided"] == 0


def post(page: Page, path: str, **headers: str) -> int:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return page.send("POST", path, headers=names, data=json.dumps(KEEP), content_type="application/json").status


# ---- the token


@pytest.mark.parametrize("path", [*TOLD, *WRITTEN, "/nothing", "/static/../app.py"])
def test_without_the_token_nothing_is_answered(page: Page, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS", "BREW"):
        for token in ("", "Bearer ", "Bearer wrong", "Bearer \xff", "Basic x", f"Bearer {page.access.token}x"):
            for cookie in ("", f"token={page.access.token}"):
                query = f"?token={page.access.token}"  # it is neither in cookies, which all ports get, nor in addresses
                refused = page.send(method, path + query, headers={"Authorization": token, "Cookie": cookie})
                assert refused.status == 403
                assert refused.text.count("\n") == 1


def test_with_the_token_all_is_answered(page: Page) -> None:
    statuses = {path: page.send("GET", path).status for path in READ}
    assert statuses == {**dict.fromkeys(READ, 200), "/clips/3/video": 204}  # of an invented run there are no clips


def test_the_pages_own_files_need_no_token_and_tell_nothing_of_the_run(page: Page) -> None:
    secrets = [page.access.token, "anna", *page.get("/session")["classes"], page.get("/session")["run"] + "/"]
    for path in OPEN:
        answer = page.send("GET", path, headers={"Authorization": ""})
        assert answer.status == 200
        assert [each for each in secrets if each in answer.text] == []
        assert answer.text == page.send("GET", path).text
        assert "Set-Cookie" not in answer.headers
    assert page.send("GET", "/static/app.py", headers={"Authorization": ""}).status == 404
    assert page.send("POST", "/", headers={"Authorization": ""}).status == 403


def test_the_address_has_the_token_where_browsers_send_it_to_nobody(page: Page) -> None:
    assert page.access.address == f"{ORIGIN}/#token={page.access.token}"


# ---- foreign pages


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1.evil.example", "10.0.0.1", "[::2]"]
)
def test_a_foreign_name_that_leads_here_is_refused(page: Page, host: str) -> None:
    assert page.send("GET", "/", headers={"Host": host}).status == 400
    assert page.send("GET", "/session", headers={"Host": host}).status == 400
    assert post(page, "/clips/3/pin", Host=host, Origin=f"http://{host}") == 400


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", f"https://127.0.0.1:{PORT}", f"{ORIGIN}1", "file://"]
)
def test_a_foreign_page_changes_nothing(page: Page, origin: str) -> None:
    assert {post(page, path, Origin=origin) for path in WRITTEN} == {403}


def test_a_tunnel_may_have_another_port(page: Page) -> None:
    assert page.send("GET", "/now", headers={"Host": "localhost:9999"}).status == 200
    assert post(page, "/clips/999/pin", Host="localhost:9999", Origin="http://localhost:9999") == 404


def test_a_browser_may_run_our_script_only_and_frame_nothing(page: Page) -> None:
    for path in (*READ, "/nothing"):
        headers = page.send("GET", path).headers
        policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == "'self'"
        assert policy["media-src"] == "blob:"
        assert not any("unsafe" in part for part in policy.values())
        assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    html = page.send("GET", "/").text
    assert html.count("<script") == html.count('<script src="/static/page.js"')
    assert not re.search(r"<[^>]* on\w+=", html)
    assert "style=" not in html


# ---- what is asked


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "BREW"])
def test_unknown_methods_are_refused(page: Page, method: str) -> None:
    assert {page.send(method, path).status for path in (*READ, *WRITTEN)} == {405}


def test_a_read_is_no_write_and_a_write_no_read(page: Page) -> None:
    assert {page.send("GET", path).status for path in WRITTEN} == {405}
    assert {page.send("POST", path).status for path in READ} == {405}


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd", "/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd",
        "/static/%2fetc%2fpasswd", "/clips/../session.py", "/clips/%2e%2e%2fetc/video", "/clips//etc/passwd/video",
        "/etc/passwd", "/app.py", "/static/page.js/../../app.py", "/static/\x00", "/clips/file:%2f%2f%2fetc%2fpasswd",
    ],
)  # fmt: skip
def test_nothing_but_the_pages_own_files_is_served(page: Page, path: str) -> None:
    assert page.send("GET", path).status in (404, 308)


@pytest.mark.parametrize(
    "clip", ["-1", str(CLIPS), "999999999", "1" * 5000, "1e3", "0x1", "1.0", "x", "%20", "\u0663", "None"]
)
def test_a_clip_is_addressed_by_a_number_that_exists(page: Page, clip: str) -> None:
    assert page.send("GET", f"/clips/{clip}").status == 404
    assert page.send("GET", f"/clips/{clip}/video").status == 404
    assert post(page, f"/clips/{clip}/pin") == 404


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("", "application/json"), ("{", "application/json"), ("[1]", "application/json"), ("7", "application/json"),
        ("[" * 9000, "application/json"), ("\xff".encode("latin-1"), "application/json"), ("null", "application/json"),
        (json.dumps(KEEP), "text/plain"), (json.dumps(KEEP), "multipart/form-data"), (json.dumps(KEEP), ""),
    ],
)  # fmt: skip
def test_a_body_is_an_object_in_json(page: Page, content: str | bytes, kind: str) -> None:
    refused = page.send("POST", "/clips/3/pin", data=content, content_type=kind)
    assert (refused.status, refused.json) == (400, {"error": "The body must be an object in JSON."})


@pytest.mark.parametrize(
    "said",
    [
        {}, {"action": "keep"}, {"action": "keep", "who": ""}, {"action": "keep", "who": "  "},
        {"action": "keep", "who": 7}, {"action": "keep", "who": "x" * 101}, {"action": "explode", "who": "anna"},
        {"action": ["keep"], "who": "anna"}, {"action": "label", "who": "anna"},
        {"action": "label", "label": 3, "who": "anna"}, {"action": "label", "label": -1, "who": "anna"},
        {"action": "label", "label": "1", "who": "anna"}, {"action": "label", "label": 1.0, "who": "anna"},
        {"action": "label", "label": True, "who": "anna"}, {"action": "label", "label": 10**30, "who": "anna"},
        {"action": "keep", "label": 1, "who": "anna"}, {"action": "keep", "who": "\ud800"},
        {"action": "keep", "who": "anna", "why": "\udcff"}, {"action": "keep", "who": "anna", "why": "x" * 1001},
        {"action": "keep", "who": "anna", "why": 7}, {"action": "keep", "who": "anna", "seen": None},
        {"action": "keep", "who": "anna", "seen": "0"}, {"action": "keep", "who": "anna", "seen": -1},
    ],
)  # fmt: skip
def test_a_decision_that_makes_no_sense_is_refused_in_a_line(page: Page, said: dict[str, object]) -> None:
    refused = page.say("/clips/3/pin", **{"seen": 0, **said})
    assert refused.status == 400
    assert refused.json["error"].endswith(".")


@pytest.mark.parametrize(
    "said",
    [{}, {"event": 1}, {"event": "1", "who": "anna"}, {"event": True, "who": "anna"}, {"event": -1, "who": "anna"}],
)
def test_an_undo_names_an_event_and_a_person(page: Page, said: dict[str, object]) -> None:
    assert page.say("/clips/3/undo", **said).status == 400


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ("kind=none", 400), ("order=up", 400), ("which=x", 400), ("pair=1", 400), ("pair=1,2,3", 400),
        ("pair=-1,2", 400), ("after=x", 404), ("count=-1", 404),
        ("after=999999", 200), ("count=999999", 200), ("pair=30000,2", 200),
    ],
)  # fmt: skip
def test_a_queue_is_asked_for_in_its_words(page: Page, asked: str, code: int) -> None:
    assert page.send("GET", f"/queue?{asked}").status == code


def test_a_queue_never_sends_all(page: Page) -> None:
    assert len(page.queue(kind="all", count=999999)["clips"]) == 50 < CLIPS
    assert page.queue(kind="all", count=0)["clips"] == []


@pytest.mark.parametrize("count", [0, -1, -CLIPS])
def test_of_no_clips_there_are_none(count: int) -> None:
    assert following(np.arange(CLIPS), lambda _clip: True, None, count) == []


def test_a_large_body_is_not_read(page: Page) -> None:
    said = json.dumps({**KEEP, "more": "x" * MOST_BYTES})
    refused = page.send("POST", "/clips/3/pin", data=said, content_type="application/json")
    assert refused.status == 413
