"""Run a function over many clips on all cores, and survive native decoders that crash on damaged media.

A decoder that crashes kills its process. The chunks that were in flight are then tried again alone, and if a chunk
crashes again, its clips one by one: only the clip that kills its process is lost.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import forkserver, resource_tracker
from typing import TypeAlias, TypeVar

from sciu.pipeline.dataset.system.cores import cores

Task = TypeVar("Task")
Result = TypeVar("Result")
Chunk: TypeAlias = list[tuple[int, Task]]

_CHUNK = 8  # tasks submitted at once: a submission costs 0.2 ms, the fastest probe 0.3 ms

PRELOADED = tuple(f"sciu.pipeline.dataset.media.{module}" for module in ("probe", "read", "encode"))


class Crashed:
    """Takes the place of a result: the process that worked on this task died."""


def map_tasks(
    function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Generator[tuple[int, Result | Crashed], None, None]:
    """Yield (position, result) for every task, in the order they finish. The function's exceptions are raised.

    Iterate inside `contextlib.closing`, so that the workers have ended on every exit.
    """
    chunks: Iterator[Chunk[Task]] = iter(
        [(position, tasks[position]) for position in range(start, min(start + _CHUNK, len(tasks)))]
        for start in range(0, len(tasks), _CHUNK)
    )
    while lost := (yield from _run(function, chunks, cores())):
        for chunk in lost:
            suspects = chunk if (yield from _run(function, iter([chunk]), 1)) else []
            for suspect in suspects:
                if (yield from _run(function, iter([[suspect]]), 1)):
                    yield suspect[0], Crashed()


def _run(
    function: Callable[[Task], Result], chunks: Iterator[Chunk[Task]], workers: int
) -> Generator[tuple[int, Result | Crashed], None, list[Chunk[Task]]]:
    """Run until all tasks are done or a process dies; return the chunks that were in flight then."""
    strangers = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, mp_context=_context(), initializer=follow_the_command)
    in_flight: dict[Future[list[tuple[int, Result]]], Chunk[Task]] = {}
    handing_over: Chunk[Task] = []
    try:
        while True:
            with _signals_held():  # a signal would interrupt the start of a worker
                for handing_over in islice(chunks, 3 * workers - len(in_flight)):
                    in_flight[pool.submit(_work, function, handing_over)] = handing_over
                handing_over = []
            if not in_flight:
                return []
            done, _ = wait(in_flight, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()
                del in_flight[future]
    except BrokenProcessPool:
        return [chunk for chunk in (*in_flight.values(), handing_over) if chunk]
    except BaseException:
        # Their results are not needed any more, and a decoder that hangs would never return.
        for worker in set(multiprocessing.active_children()) - strangers:
            worker.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _work(function: Callable[[Task], Result], chunk: Chunk[Task]) -> list[tuple[int, Result]]:
    return [(position, function(task)) for position, task in chunk]


def follow_the_command() -> None:
    """Watch the command from a thread and end with it, so that kill -9 leaves no workers behind.

    The kernel's parent-death signal does not help: the parent is the fork server, which lives as long as the worker.
    """
    threading.Thread(target=_end_after, args=[multiprocessing.parent_process()], daemon=True).start()


def _end_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _context() -> multiprocessing.context.BaseContext:
    """Fork from a server that has none of our threads and imports what the workers need, once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])  # one that does not import is left out without a word
    with _signals_held():
        _start_server()
    return context


def _start_server() -> None:
    """Start the fork server with SIGINT and SIGTERM blocked, because they go to whole process groups.

    The command ends its workers itself; a server that dies while a worker starts would leave the worker hanging.
    """
    resource_tracker.ensure_running()  # the server needs it, and starting it unblocks both signals
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))  # a new process inherits the mask
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)


@contextmanager
def _signals_held() -> Iterator[None]:
    """Delay SIGINT and SIGTERM until the block ends."""
    if threading.current_thread() is not threading.main_thread():  # Python handles signals in the main thread only
        yield
        return
    came: list[int] = []
    handlers = {
        number: signal.signal(number, lambda n, _: came.append(n)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for signum in came:
            signal.raise_signal(signum)
