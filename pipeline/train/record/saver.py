"""Checkpoints written beside the training that goes on: what is handed over is copied first.

One of 100 MB takes a third of a second to serialise and to reach the disk, ten times all else that lies between epochs.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch import Tensor

from sciu.pipeline.train.record.checkpoints import Checkpoints, require_room


class Saver:
    """Writes them one after the other, in a thread of its own."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._thread = ThreadPoolExecutor(1, "sciu-save")
        self._orders: list[Future[None]] = []

    def save(self, content: dict[str, Any]) -> None:
        """Begin to write where the run stands; what went wrong with the file before is raised."""
        self.wait()
        require_room(self._checkpoints.folder, _size(content))
        self._orders.append(self._thread.submit(self._checkpoints.save, copied(content)))

    def name(self, epoch: int, *, best: bool) -> None:
        """Give the last file, an ended epoch's, its other names, once it is written."""
        self._orders.append(self._thread.submit(self._name, [*self._orders], epoch, best=best))

    def wait(self) -> None:
        """Wait until all is written, and raise what went wrong."""
        orders, self._orders = self._orders, []
        for order in orders:
            order.result()

    def close(self) -> None:
        """Write what is waiting; whoever must know that it went well waits before."""
        self._thread.shutdown()

    def _name(self, before: list[Future[None]], epoch: int, *, best: bool) -> None:
        for order in before:  # a file that could not be written leaves the one before under the last name
            order.result()
        self._checkpoints.name(epoch, best=best)


def copied(content: Any) -> Any:
    """Copy tensors to the host, where they are too: the training changes them in place."""
    if isinstance(content, Tensor):
        return content.clone() if content.device.type == "cpu" else content.cpu()
    if isinstance(content, dict):
        return {name: copied(value) for name, value in content.items()}
    if isinstance(content, list):
        return [copied(value) for value in content]
    return content


def _size(content: Any) -> int:
    if isinstance(content, Tensor):
        return content.nbytes
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, list) else ()
    return sum(map(_size, parts))
