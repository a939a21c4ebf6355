"""What a terminal can do, and which colours its user wants."""

from __future__ import annotations

import os
from typing import IO


def is_terminal(stream: IO[str] | None) -> bool:
    """Return whether a stream is a terminal on which a line can be redrawn: neither dumb nor of unknown size."""
    if stream is None or not stream.isatty() or os.environ.get("TERM") == "dumb":
        return False
    return os.get_terminal_size(stream.fileno()).lines > 0


def colours_wanted() -> bool | None:
    """Return whether the user wants colours, by no-color.org and force-color.org; None where a terminal gets them."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return False if os.environ.get("TERM") == "dumb" else None
