"""The page in a browser, which is told its address by way of a file."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_FORWARDS = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>sciu review</title>'
    '<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0; url={address}">'
    '<p><a href="{address}">Go on to the page</a></p></html>\n'
)


def has_display() -> bool:
    """Return whether a browser could show a window; without one a browser for terminals would take this one."""
    return sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


@contextmanager
def opened_browser(address: str) -> Iterator[None]:
    """Open a browser at an address that others must not see.

    All users of a machine can read in its list of processes what a browser was started with. That is a file, which
    leads to the address, and which its owner alone can read. Some browsers return only when they are closed.
    """
    with TemporaryDirectory(prefix="sciu-review-") as folder:
        file = Path(folder) / "review.html"
        file.touch(mode=0o600)
        file.write_text(_FORWARDS.format(address=address))
        threading.Thread(target=webbrowser.open, args=(file.as_uri(),), daemon=True).start()
        yield
