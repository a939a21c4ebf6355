"""Pictures that are files, drawn by matplotlib: the same bytes for the same numbers, and names in any script."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from sciu.pipeline.errors import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS: dict[str, dict[str, Any]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""The formats, with what matplotlib would write of the moment."""
_STYLE = {
    "font.size": 8, "axes.titlesize": 9, "axes.titlelocation": "left", "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": "#e6e6e6", "legend.frameon": False,
    "text.parse_math": False,  # a class may be called `$x$`
    "svg.hashsalt": "sciu",  # or the ids in the file are random
    "pdf.fonttype": 42,  # conferences refuse matplotlib's own, Type 3
}  # fmt: skip
_OTHER_SCRIPTS = re.compile("CJK|WenQuanYi|Hei|Noto Sans|Droid|Hiragino|PingFang|Malgun|Arial Unicode")
_DPI, _MOST_PIXELS = 150, 12_000  # of a PNG file, and of its longer side


def drawn(paint: Callable[[Figure], None], kind: str) -> bytes:
    """Return the file of a figure that `paint` fills; its unit is an inch, and it is as large as what is in it.

    Without pyplot, which keeps every figure; matplotlib is imported here, for it takes half a second.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a home that cannot be written to is no news here
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", _STYLE, {"font.family": _fonts()}]):
        figure, file = Figure(figsize=(1, 1), dpi=100), io.BytesIO()
        paint(figure)
        area = figure.get_tightbbox()
        dpi = min(_DPI, _MOST_PIXELS / max(area.size))
        figure.savefig(file, format=kind, dpi=dpi, bbox_inches=area.padded(0.08), metadata=FORMATS[kind])
    return file.getvalue()


def legible(name: str) -> str:
    """Return a name as it can be drawn: characters that no font here has are shown as numbers, as messages do."""
    return "".join(char if char in _characters() else ascii(char)[1:-1] for char in shown(name))


@cache
def _fonts() -> list[str]:
    """Return matplotlib's own font, and those that are installed for scripts that it lacks."""
    from matplotlib.font_manager import fontManager

    return ["DejaVu Sans", *filter(_OTHER_SCRIPTS.search, fontManager.get_font_names())]


@cache
def _characters() -> set[str]:
    from matplotlib.font_manager import findfont, get_font

    return {chr(code) for name in _fonts() for code in get_font(findfont(name)).get_charmap()}
