"""The site: `make docs` builds it from the Markdown pages of docs/, which a Git host shows as they are.

Links between pages, to headings and to files beside docs/ are the same in both: MyST turns the latter into downloads.
See docs/decisions/0022-sphinx.md.
"""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

project = "sciu"
version = release = importlib.metadata.version("sciu")

_PARTS = re.split(r"^# (.*)$", Path(__file__).with_name("contents.txt").read_text(), flags=re.MULTILINE)
CONTENTS = dict(zip(_PARTS[1::2], _PARTS[2::2], strict=True))  # by page

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["site", "experiments/results"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # headings have the anchors that a Git host gives them
nitpick_ignore_regex = [("py:.*", ".*")]  # types of numpy, torch and Python, whose pages are on a network

html_theme = "furo"
html_title = "sciu"
html_static_path = ["static"]
html_css_files = ["sciu.css"]
html_copy_source = False
html_show_copyright = False
html_math_renderer = "mathml"
highlight_language = "text"
default_role = "literal"  # what docstrings mean by `name`

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"Ids": "Ids", "Targets": "Targets"}


def write_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write an equation as MathML, which browsers show without a script; MathJax would be fetched from a network."""
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def write_displayed(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write an equation on lines of its own."""
    self.body.append(tex2mathml(node.astext(), as_block=True))
    raise nodes.SkipNode


def shorten(*event: object) -> tuple[str | None, str | None]:
    """Show arrays in a signature as they are written in the code."""
    *_, signature, returned = event
    return _short(signature), _short(returned)


def add_contents(_app: Sphinx, page: str, source: list[str]) -> None:
    """Add to a page what it contains, of contents.txt: a Git host would show the directive as it is."""
    source[0] += CONTENTS.get(page, "")


def _short(text: object) -> str | None:
    return re.sub(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[(\w+)\]\]", r"NDArray[\1]", str(text)) if text else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register what is above."""
    app.add_html_math_renderer("mathml", (write_inline, None), (write_displayed, None))
    app.connect("autodoc-process-signature", shorten)
    app.connect("source-read", add_contents)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
