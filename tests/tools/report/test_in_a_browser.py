"""The page in a real browser: no error, galleries that filter and sort, a history on click, names only shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import NEEDS_BROWSER, Browser
from helpers import Answer
from invented_run import NASTY, invented_run
from noisy_clips import CLIPS, NAMES
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

Sciu = Callable[..., Answer]
pytestmark = NEEDS_BROWSER


def open_page(browser: Browser, page: Path) -> None:
    """Open a page and wait until its charts in sight are drawn."""
    browser.open(page.absolute().as_uri(), ".chart[data-drawn] .main-svg")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.driver.quit()


@pytest.fixture
def page(sciu: Sciu, browser: Browser, tmp_path: Path) -> Iterator[Path]:
    """A page about an invented run, opened; at the end its console must be empty."""
    run = invented_run(tmp_path / "run")
    assert sciu("report", run).code == 0
    open_page(browser, run / "report.html")
    yield run
    assert not browser.errors()


def values(browser: Browser) -> list[float]:
    return [float(text.split()[-1]) for text in browser.texts(".tile .value")]


def test_a_gallery_filters_and_sorts(browser: Browser, page: Path) -> None:
    pruned = values(browser)
    assert len(pruned) > 2
    assert pruned == sorted(pruned)
    Select(browser.one("[name=sort]")).select_by_visible_text("score, highest")
    assert values(browser) == sorted(pruned, reverse=True)
    Select(browser.one("[name=given]")).select_by_index(1)
    shown = browser.texts(".tile span:nth-child(2)")
    assert set(shown) == {NAMES[0]}
    assert browser.one(".found").text == f"{len(shown)} of {len(pruned)} pruned clips"
    browser.one("[data-kind=corrected]").click()
    assert all(" → " in text for text in browser.texts(".tile span:nth-child(2)"))
    browser.one("[name=search]").send_keys("no such path")
    assert browser.texts(".tile") == []
    assert browser.one(".found").text.startswith("0 of ")


def test_a_click_shows_the_history_of_a_clip(browser: Browser, page: Path) -> None:
    browser.all(".tile")[0].click()
    first = browser.one("dialog h2").text
    assert first.endswith(", pruned")
    assert browser.texts(".history p")[0].startswith("pruned: score 0.")
    browser.one("dialog").send_keys(Keys.ARROW_RIGHT)
    assert browser.one("dialog h2").text != first
    browser.one("dialog").send_keys(Keys.ESCAPE)
    browser.wait(lambda: not browser.all("dialog"))


def test_a_chosen_gallery_can_be_read_under_the_mouse(browser: Browser, page: Path) -> None:
    """It was near white on near white, always so after a click."""
    pressed = browser.one("[data-kind=pruned]")
    ActionChains(browser.driver).move_to_element(pressed).perform()
    assert browser.all("[data-kind=pruned]:hover")
    accent = browser.all(".figure.main .value")[0].value_of_css_property("color")
    assert pressed.value_of_css_property("background-color") == accent != pressed.value_of_css_property("color")


def test_what_people_decided_is_a_gallery(sciu: Sciu, browser: Browser, tmp_path: Path) -> None:
    run = invented_run(tmp_path / "run")
    clip = sciu("purify", "list", run, "--what", "corrected", "--json").json["clips"][0]
    sciu("purify", "pin", run, clip["clip"], "--label", clip["given"], "--who", NASTY[0])
    assert sciu("report", run).code == 0
    open_page(browser, run / "report.html")
    browser.one("[data-kind=people]").click()
    assert browser.one(".found").text == "1 of 1 clips decided by people"
    assert browser.texts(".tile span")[1:] == [
        clip["given"], f"policy: corrected to {clip['label']}", f"{NASTY[0]}: label {clip['given']}",
    ]  # fmt: skip
    browser.one(".tile").click()
    assert browser.one("dialog h2").text == f"Clip {clip['clip']}, decided by people"
    assert f"label {clip['given']}, 20" in browser.one("dialog dl").text
    assert len(browser.all(".history li")) == 2
    browser.one("dialog").send_keys(Keys.ESCAPE)
    browser.one("[data-kind=pruned]").click()
    assert values(browser)
    assert not browser.errors()


def test_charts_and_tables_fit_a_narrow_page(browser: Browser, page: Path) -> None:
    chart = browser.all(".chart")[0]
    try:
        browser.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": 420, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        )
        drawn = "return [arguments[0].clientWidth, arguments[0].querySelector('.main-svg').clientWidth]"
        browser.wait(lambda: len({*browser.driver.execute_script(drawn, chart)}) == 1)
        width = "return document.documentElement.scrollWidth"
        assert chart.size["width"] < browser.driver.execute_script(width) <= 420
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_pair_of_classes_leads_to_its_clips(browser: Browser, page: Path) -> None:
    row = browser.all("tr.link")[0]
    given, label, clips = [cell.text for cell in row.find_elements(By.TAG_NAME, "td")][:3]
    row.send_keys(Keys.ENTER)
    assert browser.texts(".tile span:nth-child(2)") == [f"{given} → {label}"] * int(clips)


def test_a_confusion_matrix_is_downloaded_as_a_picture(browser: Browser, page: Path, tmp_path: Path) -> None:
    browser.driver.execute_cdp_cmd(
        "Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path / "got")}
    )
    chart = browser.all(".chart.square")[0]
    browser.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", chart)
    browser.wait(lambda: chart.find_elements(By.CSS_SELECTOR, ".modebar-btn"))
    ActionChains(browser.driver).move_to_element(chart).perform()
    chart.find_element(By.CSS_SELECTOR, ".modebar-btn").click()
    browser.wait(lambda: [*(tmp_path / "got").glob("run-Epoch-1-test*.png")])
    (picture,) = (tmp_path / "got").iterdir()
    with Image.open(picture) as opened:
        assert opened.width > 1000


def test_previews_move_and_tables_sort(sciu: Sciu, browser: Browser, finished_run: Path, tmp_path: Path) -> None:
    told = sciu("report", finished_run, "--out", tmp_path / "page.html", "--replace", "--json").json["runs"][0]
    open_page(browser, tmp_path / "page.html")
    kind = "pruned" if told["pruned"] else "corrected"
    assert len(browser.all(".tile img")) == min(told[kind], 60)
    browser.driver.execute_script("document.querySelector('.tiles').scrollIntoView()")
    browser.wait(lambda: browser.all(".tile img")[0].get_property("naturalWidth") == 32)
    heads = [head for head in browser.all("th") if head.text == "class"]
    heads[0].click()
    first = [row.text.split()[0] for row in browser.all("table.paged tbody tr") if "%" in row.text][-7:]
    assert first == sorted(first, reverse=True)
    assert not browser.errors()


def test_runs_side_by_side(sciu: Sciu, browser: Browser, page: Path, tmp_path: Path) -> None:
    plain = invented_run(tmp_path / "plain", method="plain", epochs=2)
    assert sciu("report", page, plain, "--out", tmp_path / "page.html", "--replace").code == 0
    open_page(browser, tmp_path / "page.html")
    assert browser.texts(".tabs button") == ["run", "plain"]
    assert browser.all(".tile")
    browser.all(".tabs button")[1].click()
    assert not browser.all(".tile")
    assert "No clip is pruned or corrected." in browser.texts(".empty")


def test_names_are_only_shown(sciu: Sciu, browser: Browser, tmp_path: Path) -> None:
    paths = ["".join(f"{NASTY[clip % 3]}/{clip}".split()) for clip in range(CLIPS)]
    run = invented_run(tmp_path / "run", names=NASTY, paths=paths)
    assert sciu("report", run).code == 0
    open_page(browser, run / "report.html")
    browser.wait(lambda: browser.all(".chart.square .ytick"))
    assert NASTY[0] in browser.texts(".chart.square .ytick text")
    assert NASTY[0] in browser.texts("td")
    browser.all(".tile")[0].click()
    shown = browser.one("dialog .path").text
    assert any("".join(name.split()) in shown for name in NASTY)
    assert browser.driver.execute_script("return document.querySelectorAll('dialog script, main script').length") == 0
    assert not browser.errors()
