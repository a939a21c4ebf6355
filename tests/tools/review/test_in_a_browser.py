"""The page in a real browser: clips play, the keyboard decides, what is decided is in the store, names only shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from browsing import NEEDS_BROWSER, Browser
from helpers import Answer
from invented_run import NASTY, invented_run
from noisy_clips import CLIPS
from reviewing import ask, serving, told
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select
from shared import copy_of

from sciu.purification import Keep, Purifier
from sciu.purification.clip_state import PINS
from sciu.tools.review.opening import opened_browser

Sciu = Callable[..., Answer]
pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.driver.quit()


@contextmanager
def opened(browser: Browser, run: Path, *more: str) -> Iterator[str]:
    """Serve a run and open its page; at the end its console must be empty."""
    with serving(run, "--json", *more) as process:
        address = told(process)["address"]
        browser.open(address, "#work, #end, #name-dialog")
        try:
            yield address
            assert not browser.errors()
        finally:  # before the server ends
            browser.driver.get("about:blank")
            browser.errors()


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return copy_of(finished_run, tmp_path / "run")


def clip(browser: Browser) -> int:
    """The clip that is shown, once the page has nothing to do."""
    browser.wait(lambda: not browser.all("body.busy"))
    return int(str(browser.driver.execute_script("return location.hash.slice(1)")))


def press(browser: Browser, key: str) -> int:
    """Press a key, and return the clip that is shown then."""
    browser.press(key)
    return clip(browser)


def pins(run: Path) -> dict[int, tuple[str, str]]:
    """The people's decisions in a store: who, and the status of the clip."""
    with Purifier.open(run / "purifier", read_only=True) as purifier:
        states, names = purifier.states(), purifier.class_names
        events = [event for event in purifier.events() if event.kind == "pin"]
        clips = [int(purifier.rows(event.number)["clip"][0]) for event in events]
    said = [
        names[states.label[clip]] if event.action == "label" else event.action
        for clip, event in zip(clips, events, strict=True)
    ]
    return {
        clip: (event.who, what) for clip, event, what in zip(clips, events, said, strict=True) if states.has(PINS)[clip]
    }


def video(browser: Browser, what: str) -> Any:
    return browser.driver.execute_script(f"return document.getElementById('video').{what}")


# ---- it plays, it is driven by keys, it decides


def test_a_clip_plays_in_a_loop(browser: Browser, run: Path) -> None:
    with opened(browser, run, "--who", "anna") as address:
        browser.wait(lambda: video(browser, "readyState") == 4)
        assert (video(browser, "videoWidth"), video(browser, "loop")) == (32, True)
        browser.wait(lambda: video(browser, "currentTime") > 0.1)
        late = video(browser, "currentTime")
        browser.wait(lambda: video(browser, "currentTime") != late)
        browser.wait(lambda: video(browser, "currentTime") < 0.1)  # it began again
        browser.press(Keys.SPACE)
        browser.wait(lambda: video(browser, "paused"))
        assert str(video(browser, "src")).startswith("blob:")
        assert "token" not in browser.driver.current_url
        assert browser.driver.get_cookies() == []
        shown = clip(browser)
        browser.driver.refresh()
        browser.wait(lambda: browser.all("#work"))
        assert clip(browser) == shown
        assert address.endswith(str(browser.driver.execute_script("return sessionStorage.getItem('token')")))


def test_the_keyboard_decides_and_undoes(browser: Browser, run: Path) -> None:
    with opened(browser, run, "--who", "anna"):
        first = clip(browser)
        second = press(browser, "x")
        assert pins(run) == {first: ("anna", "drop")}
        given = browser.one("#keep-label").text
        third = press(browser, "k")
        fourth = press(browser, "2")
        assert press(browser, "s") not in (first, second, third, fourth)
        wanted = {first: ("anna", "drop"), second: ("anna", given), third: ("anna", "sad")}
        assert pins(run) == wanted
        browser.wait(lambda: browser.one("#progress").text.startswith("3 of "))
        assert browser.one("#progress").text.endswith("3 by anna")
        assert press(browser, "b") == fourth
        assert press(browser, Keys.ARROW_LEFT) == third
        assert browser.one("#pin-text").text == "anna: it is sad"
        assert press(browser, "u") == third
        assert press(browser, "u") == second
        assert pins(run) == {first: ("anna", "drop")}
        browser.press("n")
        browser.press("blurred x", Keys.ESCAPE)
        press(browser, "x")
        assert pins(run)[second] == ("anna", "drop")
    with Purifier.open(run / "purifier", read_only=True) as purifier:
        assert [entry.event.kind for entry in purifier.history(second)][-3:] == ["pin", "undo", "pin"]
        assert purifier.history(second)[-1].event.why == "blurred x"


VIDEOS_FETCHED = "return performance.getEntriesByType('resource').filter((e) => e.name.endsWith('/video')).length"
HOLD_ANSWERS = """
    const ask = window.fetch, released = new Promise((release) => { window.release = release; });
    window.fetch = async (path, options) => {
      const answer = await ask(path, options);
      if (/^.clips.\\d+$/.test(path)) await released;
      return answer;
    };
"""


def test_an_answer_that_comes_late_does_not_hide_a_decision(browser: Browser, run: Path) -> None:
    with opened(browser, run, "--who", "anna"):
        clip(browser)
        fetched = (
            "return performance.getEntriesByType('resource').filter((each) => each.name.endsWith('/video')).length"
        )
        browser.wait(lambda: browser.driver.execute_script(fetched) == 4)  # the clip that is shown and three ahead
        browser.driver.execute_script(HOLD_ANSWERS)
        press(browser, "x")
        third = press(browser, "x")  # asked for once more, and answered before it is decided
        press(browser, "2")
        browser.driver.execute_script("window.release()")
        assert press(browser, "b") == third
        assert browser.one("#pin-text").text == "anna: it is sad"


def test_an_undo_pressed_twice_is_about_the_clip_that_is_shown(browser: Browser, run: Path) -> None:
    with opened(browser, run, "--who", "anna"):
        first = clip(browser)
        second = press(browser, "x")
        press(browser, "1")
        press(browser, "b")
        press(browser, "x")  # the second clip has two decisions, one over the other
        press(browser, "b")
        assert press(browser, "u") == second
        assert browser.one("#pin-text").text == "anna: it is happy"
        assert press(browser, "u") == second
        assert pins(run) == {first: ("anna", "drop")}


def test_a_decision_is_taken_off_whoever_made_it(browser: Browser, run: Path) -> None:
    with opened(browser, run, "--who", "anna") as address:
        first = clip(browser)
        ask(address, f"/clips/{first}/pin", {"action": "drop", "who": "ben", "seen": 0})
        browser.wait(lambda: browser.texts("#pin-text") == ["ben: dropped"])
        browser.one("#free").click()
        assert clip(browser) == first
        browser.wait(lambda: not browser.all("#pin"))
        assert pins(run) == {}
        assert press(browser, "u") == first
        assert browser.one("#pin-text").text == "ben: dropped"
        press(browser, Keys.BACKSPACE)
        assert pins(run) == {}


def test_who_has_decided_meanwhile_is_said_and_shown(browser: Browser, run: Path) -> None:
    with opened(browser, run, "--who", "anna") as address:
        first = clip(browser)
        ask(address, f"/clips/{first}/pin", {"action": "drop", "who": "ben", "seen": 0})
        assert press(browser, "1") == first
        assert browser.one("#trouble").text.startswith(f"ben has decided about clip {first} since it was shown")
        assert browser.one("#pin-text").text == "ben: dropped"
        assert press(browser, "1") != first
        assert pins(run) == {first: ("anna", "happy")}
        assert "409" in browser.errors()[0]


def test_the_name_is_that_of_this_server(browser: Browser, tmp_path: Path) -> None:
    """Whatever another server on the same port was told before."""
    run = invented_run(tmp_path / "run")
    with opened(browser, run) as address:
        browser.press(Keys.BACKSPACE, "anna", Keys.ENTER)
        browser.wait(lambda: browser.texts("#who") == ["anna"])
        browser.driver.refresh()
        browser.wait(lambda: browser.texts("#who") == ["anna"])
    with opened(browser, run, "--who", "ben", "--port", str(urlsplit(address).port)):
        browser.wait(lambda: browser.texts("#who") == ["ben"])


def test_without_the_token_the_page_says_where_it_is(browser: Browser, tmp_path: Path) -> None:
    """A new address is taken where an old one is open."""
    with serving(invented_run(tmp_path / "run"), "--json", "--who", "anna") as process:
        address = told(process)["address"]
        for bare in (address.split("#")[0], f"{address}x"):
            browser.open(bare, "#end")
            browser.wait(lambda: "address that sciu-review printed" in browser.one("#end-text").text)
            assert not browser.all("nav, #help, #end-back")
            browser.press("x")
        browser.open(address, "#work")
        clip(browser)
        assert all("403" in each for each in browser.errors())
        browser.driver.get("about:blank")


def test_the_file_that_a_browser_is_started_with_leads_to_the_page(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    monkeypatch.setattr("webbrowser.open", started.append)
    with serving(invented_run(tmp_path / "run"), "--json", "--who", "anna") as process:
        with opened_browser(told(process)["address"]):
            browser.wait(lambda: started)
            browser.open(started[0], "#work")
            clip(browser)
        browser.driver.get("about:blank")


def test_buttons_do_what_keys_do(browser: Browser, run: Path) -> None:
    with opened(browser, run, "--who", "anna"):
        browser.one("[data-kind=doubted]").click()
        first, proposed = clip(browser), browser.one("#accept-label").text
        browser.one("#accept").click()
        second = clip(browser)
        browser.all(".class")[3].click()
        clip(browser)
        assert pins(run) == {first: ("anna", proposed), second: ("anna", "angry")}
        Select(browser.one("#which")).select_by_value("mine")
        assert {clip(browser), press(browser, "s")} == {first, second}
        browser.press("s")
        browser.wait(lambda: browser.all("#end"))
        browser.press(Keys.ENTER)
        browser.wait(lambda: browser.all("#work"))
        assert clip(browser) in (first, second)


def test_help_is_a_key_away_and_holds_the_other_keys_off(browser: Browser, run: Path) -> None:
    with opened(browser, run, "--who", "anna"):
        clip(browser)
        browser.press("?")
        assert "keep: the clip stays" in browser.one("#help-dialog").text
        browser.press("x", Keys.ESCAPE)
        browser.wait(lambda: not browser.all("#help-dialog"))
        assert pins(run) == {}
        assert all(each.accessible_name for each in browser.all("button, select, input, video"))


def test_two_reviewers_are_kept_apart(browser: Browser, run: Path) -> None:
    with opened(browser, run) as address:
        browser.press(Keys.BACKSPACE, "anna", Keys.ENTER)
        browser.wait(lambda: browser.all("#work"))
        first = clip(browser)
        second = press(browser, "x")
        browser.driver.switch_to.new_window("tab")
        browser.open(address, "#name-dialog")
        browser.press(Keys.BACKSPACE, "ben", Keys.ENTER)
        browser.wait(lambda: browser.all("#work"))
        assert clip(browser) == second
        press(browser, "x")
        assert pins(run) == {first: ("anna", "drop"), second: ("ben", "drop")}
        browser.wait(lambda: browser.one("#progress").text.endswith("clips decided, 1 by ben"))
        browser.driver.close()
        browser.driver.switch_to.window(browser.driver.window_handles[0])
        browser.wait(lambda: browser.texts("#pin") and "ben" in browser.one("#pin").text)  # the first tab sees it
        assert "1 by anna" in browser.one("#progress").text


# ---- what it cannot show, and names


def test_a_clip_that_cannot_be_shown_says_why_and_is_decided(browser: Browser, tmp_path: Path) -> None:
    run = invented_run(tmp_path / "run")
    with opened(browser, run, "--who", "anna"):
        browser.wait(lambda: "--data DIR" in browser.texts("#blank")[0])
        first = clip(browser)
        press(browser, "x")
        assert pins(run) == {first: ("anna", "drop")}


def test_a_run_without_doubtful_clips_shows_all(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, invented_run(tmp_path / "run", epochs=0), "--who", "anna"):
        assert clip(browser) == 0
        assert browser.one("[data-kind=all]").get_attribute("aria-pressed") == "true"
        browser.one("[data-kind=pinned]").click()
        browser.wait(lambda: browser.texts("#end-title") == ["No such clip"])


def test_of_many_classes_one_is_found_by_its_name(browser: Browser, tmp_path: Path) -> None:
    rng, names = np.random.default_rng(0), [f"class {k}" for k in range(150)]
    with Purifier.create(
        tmp_path / "run/purifier", labels=np.arange(150), num_classes=150, policy=Keep(), class_names=names
    ) as purifier:
        purifier.record(np.arange(150), np.ones(150), rng.dirichlet(np.ones(150), 150))
        purifier.end_epoch()
    with opened(browser, tmp_path / "run", "--who", "anna"):
        shown = clip(browser)
        assert browser.one("[data-kind=doubted]").get_attribute("aria-pressed") == "true"
        assert "90 more" in browser.one("#classes").text
        browser.press("/", "s 149", Keys.ENTER)
        browser.wait(lambda: pins(tmp_path / "run") == {shown: ("anna", "class 149")})


def test_a_server_that_ends_is_said_in_a_line(browser: Browser, tmp_path: Path) -> None:
    with serving(invented_run(tmp_path / "run"), "--json", "--who", "anna") as process:
        browser.open(told(process)["address"], "#work")
        clip(browser)
        process.terminate()
        process.wait(timeout=30)
        browser.press("x")
        browser.wait(
            lambda: "Was sciu-review ended?" in browser.texts("#trouble")[0] if browser.texts("#trouble") else False
        )
    browser.driver.get("about:blank")
    browser.errors()


def test_names_are_only_shown(browser: Browser, tmp_path: Path) -> None:
    paths = ["".join(f"{NASTY[clip % 3]}/{clip}".split()) for clip in range(CLIPS)]
    run = invented_run(tmp_path / "<img src=x onerror=alert(1)>", names=NASTY, paths=paths)
    with opened(browser, run, "--who", NASTY[0]):
        shown = clip(browser)
        press(browser, "1")
        assert press(browser, "b") == shown
        assert browser.one("#run").text == run.name
        assert NASTY[0] in browser.one("#pin").text
        assert NASTY[0] in browser.texts(".class .name")[0]
        assert browser.driver.execute_script("return document.querySelectorAll('body script, body img').length") == 0


def test_the_page_fits_a_phone(browser: Browser, run: Path) -> None:
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        with opened(browser, run, "--who", "anna"):
            clip(browser)
            assert browser.driver.execute_script("return document.documentElement.scrollWidth") == 390
            assert browser.one("#drop").rect["y"] + browser.one("#drop").rect["height"] < browser.one("#skip").rect["y"]
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
