"""Who may speak to the page's server: whoever has its token, from a page of its own.

A server on 127.0.0.1 can be reached by every user of the machine, and by every web page that a user's browser has open:
hence the token, and hence the checks of Host (a foreign name that leads to 127.0.0.1) and Origin (a foreign page).

The token is in the part of the address behind `#`, which a browser sends to nobody. The page's script sends it with all
that it asks. It is no cookie: browsers send those to every server of the machine, whatever its port.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus

from flask import Flask, Response, abort, request

HOSTS = ["127.0.0.1", "localhost"]  # with any port: that of a tunnel is not ours
OPEN = ("page", "static")  # endpoints that tell nothing of a run
_READING = ("GET", "HEAD")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " media-src blob:; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Access:
    """The token of a server, and the checks of every request."""

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self.address = f"http://127.0.0.1:{port}/#token={self.token}"

    def protect(self, app: Flask) -> None:
        """Check every request to an application, and put the headers on every answer."""
        app.config |= {"TRUSTED_HOSTS": HOSTS, "PROVIDE_AUTOMATIC_OPTIONS": False}
        app.before_request(self._check)
        app.after_request(_with_headers)

    def _check(self) -> None:
        """Refuse a request by raising, or let it pass."""
        host = request.host  # raises if it is none of ours
        if request.endpoint in OPEN:
            return
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not secrets.compare_digest(given.encode(), self.token.encode()):
            abort(HTTPStatus.FORBIDDEN, "Open the address that sciu-review printed, with its token.")
        if request.method not in _READING and request.headers.get("Origin") != f"http://{host}":
            abort(HTTPStatus.FORBIDDEN, "Only the page itself may change anything.")


def _with_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response
