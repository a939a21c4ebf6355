"""One HTML file with all in it: template, style, script, charts library, data."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_PACKAGE, _TEMPLATES = "sciu.tools.report", "template"


def render(content: Mapping[str, Any], data: Mapping[str, Any]) -> bytes:
    """Return the page; `content` is what its template shows, `data` what its script draws."""
    environment = Environment(
        loader=PackageLoader(_PACKAGE, _TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"count": _count, "share": _share}
    scripts = [_plotly(), _asset("page.js")]
    page = environment.get_template("page.html").render(
        **content, style=Markup(_asset("page.css")), scripts=[Markup(script) for script in scripts],  # noqa: S704 - ours
        policy=" ".join(["script-src", *map(_hash, scripts)]), data=embedded(data),
    )  # fmt: skip
    return page.encode()


def embedded(data: Any) -> Markup:
    """Return data as JSON that no HTML parser takes for markup: it is ASCII, and has no angle brackets."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"))  # noqa: S704


def _asset(name: str) -> str:
    return (resources.files(_PACKAGE) / _TEMPLATES / name).read_text("utf-8")


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script


def _hash(script: str) -> str:
    """Return a script's hash for the page's Content-Security-Policy: a browser runs no script but ours."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _count(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "–"
