"""Who may speak to the page's server: whoever has its token, from a page of its own.

A server on 127.0.0.1 can be reached by every user of the machine, and by every web page that a user's browser has open:
hence the token, and hence the checks of Host (a foreign name that leads to 127.0.0.1) and Origin (a foreign page).
"""

from __future__ import annotations

import secrets
from http import HTTPStatus

from flask import Flask, Request, Response, abort, request

HOSTS = ["127.0.0.1", "localhost"]  # with any port: that of a tunnel is not ours
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
# Not a redirect by status: a browser that follows one from another site's link leaves a SameSite=Strict cookie out.
_ENTERED = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url=/"><title>sciu review</title>'
)


class Access:
    """The token of a server, and the checks of every request."""

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self._port = port
        self._cookie = f"sciu-review-{port}"  # browsers keep the cookies of all ports of a host together
        self._once = secrets.token_urlsafe(32)

    def address(self, *, once: bool = False) -> str:
        """Return the address to open; one that works once may be shown in a list of processes."""
        return f"http://127.0.0.1:{self._port}/?token={self._once if once else self.token}"

    def protect(self, app: Flask) -> None:
        """Check every request to an application, and put the headers on every answer."""
        app.config |= {"TRUSTED_HOSTS": HOSTS, "PROVIDE_AUTOMATIC_OPTIONS": False}
        app.before_request(self._check)
        app.after_request(_with_headers)

    def _check(self) -> Response | None:
        """Refuse a request by raising, let it pass, or let a browser in."""
        host = request.host  # raises if it is none of ours
        if request.path == "/" and request.method == "GET" and "token" in request.args:
            return self._entered(request.args["token"])
        if not self._is_known(request):
            abort(HTTPStatus.FORBIDDEN, "Open the address that sciu-review printed, with its token.")
        if request.method not in _READING and request.headers.get("Origin") != f"http://{host}":
            abort(HTTPStatus.FORBIDDEN, "Only the page itself may change anything.")
        return None

    def _entered(self, token: str) -> Response:
        """Give the browser the token as a cookie, and send it on to an address without."""
        if _same(token, self._once):
            self._once = secrets.token_urlsafe(32)
        elif not _same(token, self.token):
            abort(HTTPStatus.FORBIDDEN, "The token is not that of this server. Open the address that it printed.")
        response = Response(_ENTERED, mimetype="text/html")
        response.set_cookie(self._cookie, self.token, httponly=True, samesite="Strict")
        return response

    def _is_known(self, request: Request) -> bool:
        """Return whether a request has the token: in its cookie, or in a header, as programs send it."""
        header = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return _same(request.cookies.get(self._cookie, ""), self.token) or _same(header, self.token)


def _same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode(), other.encode())


def _with_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    return response
