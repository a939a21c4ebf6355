"""Signals that stop a command: each raises where the command is; one whose exception was lost is remembered."""

from __future__ import annotations

import signal
from types import FrameType

from sciu.pipeline.errors import Stopped

_OF_SCHEDULERS = (signal.SIGTERM, signal.SIGUSR1)
_arrived: list[int] = []  # Python drops an exception that a signal raises inside a destructor; this remains


def listen() -> None:
    """Stop at the next signal."""
    _arrived.clear()
    for number in _OF_SCHEDULERS:
        signal.signal(number, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # and not ignored, as in the background
        signal.signal(signal.SIGINT, _stop)


def listen_no_more() -> None:
    """Leave signals to Python."""
    for number in _OF_SCHEDULERS:
        signal.signal(number, signal.SIG_DFL)  # no clean stop while the interpreter ends
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _stop(number: int, _frame: FrameType | None) -> None:
    _arrived.append(number)
    _raise_for(number)


def _raise_for(number: int) -> None:
    name = signal.Signals(number).name
    raise KeyboardInterrupt if number == signal.SIGINT else Stopped(number, f"stopped by {name}")


def pending_signal() -> int:
    """Return a signal that has arrived and whose exception was lost, else 0."""
    return _arrived[0] if _arrived else 0


def stop_if_signalled() -> None:
    """Raise the exception of a signal if it was lost."""
    if _arrived:
        _raise_for(_arrived[0])
