"""`make docs` builds the site without a warning, and its pages need no network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from shared import made_once
from shown import PAGES, ROOT

pytest.importorskip("sphinx")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does, from nothing."""

    def build(folder: Path) -> None:
        recipe = re.search(r"sphinx-build (.*) -d build/doctrees docs build/docs", (ROOT / "Makefile").read_text())
        assert recipe, "the Makefile says otherwise"
        words = [sys.executable, "-m", "sphinx", *recipe[1].split(), "-d", str(folder / "doctrees"), "docs"]
        done = subprocess.run([*words, str(folder / "site")], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "-W" in words

    return made_once(tmp_path_factory, "site", build) / "site"


def test_every_page_is_there(site: Path) -> None:
    pages = [page.relative_to(ROOT / "docs").with_suffix(".html") for page in PAGES if page.name != "README.md"]
    assert pages
    assert not [str(page) for page in pages if not (site / page).exists()]


def test_no_page_loads_anything_from_a_network(site: Path) -> None:
    loads = re.compile(r"""<(?:script|img|iframe|source)[^>]*\ssrc="(?:https?:)?//|<link[^>]*\shref="(?:https?:)?//""")
    assert not [str(page) for page in site.rglob("*.html") if loads.search(page.read_text())]
    styles = re.compile(r"""@import|url\(["']?(?:https?:)?//""")
    assert not [str(style) for style in site.rglob("*.css") if styles.search(style.read_text())]


def test_the_search_knows_the_words_of_pages_and_the_names_of_the_api(site: Path) -> None:
    found = json.loads((site / "searchindex.js").read_text().removeprefix("Search.setIndex(").removesuffix(")"))
    assert {"quarantin", "nvjpeg"} <= found["terms"].keys()  # stems
    assert {"sciu.purification", "sciu.pipeline.dataset"} <= found["objects"].keys()


def test_equations_are_shown_without_a_script(site: Path) -> None:
    page = (site / "purification.html").read_text()
    assert page.count("<math") > 20
    assert not re.search("<script[^>]*math", page, re.IGNORECASE)


def test_a_link_to_a_file_beside_the_docs_brings_that_file(site: Path) -> None:
    linked = re.findall(r'href="([^"]*purify_any_loop\.py)"', (site / "purification.html").read_text())
    assert linked
    assert (site / linked[0]).read_bytes() == (ROOT / "examples/purify_any_loop.py").read_bytes()
