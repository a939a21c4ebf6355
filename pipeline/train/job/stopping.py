"""SIGTERM, SIGUSR1 and SIGINT ask the loop to stop after the current step; a second SIGINT stops at once.

SIGUSR1 is what SLURM is often told to send before it ends a job; SIGCONT, which it sends as well, changes nothing.
A second SIGTERM changes nothing: SLURM and torchrun both send one to every process. If SIGINT was ignored before, as a
shell script begins what it runs in the background, it stays so.
"""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from sciu.pipeline.errors import Stopped
from sciu.pipeline.train.job.ranks import Ranks

OF_SCHEDULERS = (signal.SIGTERM, signal.SIGUSR1)


class Stop:
    """Handles SIGTERM, SIGUSR1 and SIGINT while the block runs."""

    def __init__(self) -> None:
        self.signal = 0  # the signal that has arrived

    def __enter__(self) -> Stop:  # noqa: PYI034 - Self needs Python 3.11
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        numbers = OF_SCHEDULERS if ignored else (*OF_SCHEDULERS, signal.SIGINT)
        self._before: dict[int, Any] = {number: signal.signal(number, self._ask) for number in numbers}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listen_as_before()
        if kind is not None and not issubclass(kind, Stopped):
            # The error is yet to be reported: ignore the SIGTERM that torchrun sends once another rank has failed.
            for number in OF_SCHEDULERS:
                signal.signal(number, signal.SIG_IGN)

    def check(self, ranks: Ranks) -> None:
        """Raise Stopped if a signal has reached any rank. Collective: all ranks stop after the same step."""
        if ranks.any(self.signal != 0):
            raise Stopped(self.signal or signal.SIGTERM)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number
        if signal.SIGINT in self._before:
            signal.signal(signal.SIGINT, self._before[signal.SIGINT])

    def _listen_as_before(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
