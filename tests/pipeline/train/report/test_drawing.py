"""Pictures are whole: every name in them, in any script, and the same bytes for the same numbers."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import findfont, get_font
from PIL import Image

from sciu.pipeline.train.report import drawing
from sciu.pipeline.train.report.drawing import FORMATS, legible
from sciu.pipeline.train.report.matrices import Matrix, picture_of

CLASSES = ["happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"]
NASTY = ["$x_1$ -- -->", "<script>alert(1)</script>", "a\nb", "高兴", "x" * 40]


@pytest.fixture
def own_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No font for other scripts is installed."""
    monkeypatch.setattr(drawing, "_OTHER_SCRIPTS", re.compile("none of them"))
    forget()
    yield
    forget()


def forget() -> None:
    drawing._fonts.cache_clear()
    drawing._characters.cache_clear()


def matrix(classes: list[str], title: str = "test") -> Matrix:
    return Matrix(title=title, counts=np.diag(np.arange(len(classes))), classes=classes)


def words(picture: bytes) -> list[str]:
    """The texts of an SVG file: its letters are outlines, and each text is a comment above them."""
    ET.fromstring(picture)  # it is XML, whatever the names
    return [text.strip() for text in re.findall("<!--(.*?)-->", picture.decode(), re.DOTALL)]


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_numbers_are_the_same_file_and_it_has_no_date(kind: str) -> None:
    first = picture_of([matrix(CLASSES)], kind)
    assert picture_of([matrix(CLASSES)], kind) == first
    assert not re.search(rb"date", first, re.IGNORECASE)


def test_letters_of_a_pdf_file_are_of_a_kind_that_conferences_take() -> None:
    assert b"/Type3" not in picture_of([matrix(CLASSES)], "pdf")


def test_nothing_is_left_of_the_style() -> None:
    before = dict(mpl.rcParams)
    picture_of([matrix(CLASSES)])
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("classes", [CLASSES, [f"a class, number {k}" for k in range(43)]])
def test_every_class_is_named_in_full_on_both_sides_and_inside_the_picture(classes: list[str]) -> None:
    said = words(picture_of([matrix(classes)], "svg"))
    assert all(said.count(name) == 2 for name in classes)
    picture = np.array(Image.open(io.BytesIO(picture_of([matrix(classes)]))).convert("L"))
    edge = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert edge.min() == 255, "a name is cut"


def test_cells_tell_shares_and_counts_and_nothing_of_none() -> None:
    said = words(picture_of([Matrix(title="t", counts=np.array([[9, 1], [0, 0]]), classes=["happy", "sad"])], "svg"))
    assert [text for text in said if "%" in text] == ["90%", "10%"]


def test_cells_are_darker_the_larger_their_share() -> None:
    counts = np.array([[90, 10, 0], [0, 50, 50], [1, 29, 70]])
    picture = np.array(Image.open(io.BytesIO(picture_of([Matrix(title="", counts=counts, classes=[*"abc"])]))))
    dark = [(picture[..., 0] < limit).mean() for limit in (20, 60, 130, 230)]
    assert dark == sorted(dark)
    assert dark[1] > 0.02


def test_very_many_classes_are_colours_only() -> None:
    said = words(picture_of([matrix([f"class {k}" for k in range(65)])], "svg"))
    assert not [text for text in said if "%" in text]


def test_a_picture_of_any_size_fits_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_MOST_PIXELS", 300)
    assert max(Image.open(io.BytesIO(picture_of([matrix(CLASSES)] * 4))).size) in range(300, 310)


# ---- names


@pytest.mark.usefixtures("own_font")
def test_names_are_only_shown_and_what_no_font_has_is_a_number() -> None:
    said = words(picture_of([matrix(NASTY, title="高 of <b>")], "svg"))
    assert "\\u9ad8 of &lt;b&gt;" in said
    shown = "".join(said)
    for name in ("$x_1$", "&lt;script&gt;alert(1)&lt;/script&gt;", "a\\nb", "\\u9ad8\\u5174"):
        assert shown.count(name) == 2


@pytest.mark.usefixtures("own_font")
def test_a_font_for_another_script_draws_its_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matplotlib brings one with signs that its usual one lacks."""
    usual, other = drawing._characters(), {*map(chr, get_font(findfont("STIXGeneral")).get_charmap())}
    strange = min(char for char in other - usual if char.isprintable())
    assert legible(strange) != strange
    monkeypatch.setattr(drawing, "_OTHER_SCRIPTS", re.compile("STIXGeneral"))
    forget()
    assert legible(strange) == strange
    assert strange in words(picture_of([matrix([strange, "b"])], "svg"))


@given(st.text(max_size=8))
def test_any_name_can_be_drawn(name: str) -> None:
    assert legible(name).isprintable()
    assert legible(legible(name)) == legible(name)


def test_a_home_that_cannot_be_written_to_is_not_spoken_of(tmp_path: Path) -> None:
    """As on clusters; matplotlib says so of its own cache, in the middle of a training's lines."""
    code = "from sciu.pipeline.train.report.drawing import drawn; drawn(lambda figure: figure.text(0, 0, 'x'), 'png')"
    environment = {"PATH": os.environ["PATH"], "HOME": "/dev/null", "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
