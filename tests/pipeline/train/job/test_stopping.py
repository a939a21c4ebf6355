"""The first signal requests a stop, the second has its usual effect."""

from __future__ import annotations

import os
import signal

import pytest

from sciu.pipeline.errors import Stopped
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.job.stopping import Stop


def test_a_signal_asks_and_the_next_one_does_not() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Stop() as stop:
        stop.check(Ranks())
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Stopped):
            stop.check(Ranks())
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


def test_an_interrupt_that_is_ignored_stays_so() -> None:
    """A shell script begins what it runs in the background so: Ctrl-C in its terminal is not for that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            stop.check(Ranks())
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(Stopped):
                stop.check(Ranks())
    finally:
        signal.signal(signal.SIGINT, before)


def test_handlers_are_put_back() -> None:
    numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    with Stop():
        assert all(signal.getsignal(number) != was for number, was in zip(numbers, before, strict=True))
    assert [signal.getsignal(number) for number in numbers] == before


def test_what_slurm_sends_asks_and_its_wake_up_does_not() -> None:
    """As `--signal=USR1@60` does; a job that is preempted is woken up before it is ended."""
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGCONT)
        stop.check(Ranks())
        os.kill(os.getpid(), signal.SIGUSR1)
        with pytest.raises(Stopped) as stopped:
            stop.check(Ranks())
    assert stopped.value.number == signal.SIGUSR1


def test_an_error_on_its_way_is_not_lost_to_a_signal() -> None:
    """A launcher stops the other ranks when one has died; their error messages must still be printed."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(RuntimeError, match="a rank is gone"), Stop():
            raise RuntimeError("a rank is gone")
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
