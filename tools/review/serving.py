"""The server: Waitress on a socket of this machine, until a signal comes."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from waitress import create_server, wasyncore

from sciu.pipeline.errors import SettingError
from sciu.tools.command.signals import stop_if_signalled

MOST_BYTES = 16_384  # of a request's body
_THREADS = 8  # as many requests at once: a browser makes six, some of which wait for a video


@contextmanager
def listening(port: int) -> Iterator[socket.socket]:
    """Bind a socket of this machine, which no other machine reaches."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # at once after a server that has ended
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError as error:
            raise SettingError(
                f"--port must be free, but {port} cannot be listened on: {error.strerror}."
                " Choose another, or 0 for any that is free."
            ) from None
        yield listener


def serve(app: Flask, listener: socket.socket) -> None:
    """Answer requests until a signal raises; those that are being answered then are answered to their end."""
    logging.getLogger("waitress").setLevel(logging.ERROR)  # that requests wait, or wait still at the end, is no news
    sockets: dict[int, Any] = {}
    server = create_server(
        app, map=sockets, sockets=[listener], threads=_THREADS, ident=None, max_request_body_size=MOST_BYTES
    )
    try:
        while True:
            wasyncore.loop(timeout=1, map=sockets, count=1, use_poll=True)
            stop_if_signalled()  # the loop logs exceptions of what it calls, a signal's too
    finally:
        server.task_dispatcher.shutdown()
        wasyncore.close_all(sockets)
