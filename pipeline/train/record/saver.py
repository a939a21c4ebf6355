"""Write checkpoints in the background while the training continues; their content is copied first.

One of 100 MB takes a third of a second to serialise and to write, ten times all else between two epochs.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch import Tensor

from sciu.pipeline.train.record.checkpoints import Checkpoints, require_room


class Saver:
    """Writes checkpoints one after the other, in its own thread; before the first it calls `before_first`, if given."""

    def __init__(self, checkpoints: Checkpoints, before_first: Callable[[], None] | None = None) -> None:
        self._checkpoints = checkpoints
        self._before_first = before_first
        self._thread = ThreadPoolExecutor(1, "sciu-save")
        self._orders: list[Future[None]] = []

    def save(self, content: dict[str, Any]) -> None:
        """Start to write a checkpoint; raise the error of the one before, if there was one."""
        self.wait()
        require_room(self._checkpoints.folder, _size(content))
        self._orders.append(self._thread.submit(self._save, copied(content)))

    def name(self, epoch: int, *, best: bool) -> None:
        """Give the last checkpoint, of an ended epoch, its other names once it is written."""
        self._orders.append(self._thread.submit(self._name, [*self._orders], epoch, best=best))

    def wait(self) -> None:
        """Wait until all is written, and raise the first error."""
        orders, self._orders = self._orders, []
        for order in orders:
            order.result()

    def close(self) -> None:
        """Finish what is pending; only `wait` raises its errors."""
        self._thread.shutdown()

    def _save(self, content: dict[str, Any]) -> None:
        if self._before_first:
            self._before_first()
            self._before_first = None
        self._checkpoints.save(content)

    def _name(self, before: list[Future[None]], epoch: int, *, best: bool) -> None:
        for order in before:  # if a write failed, the last name is still that of the checkpoint before
            order.result()
        self._checkpoints.name(epoch, best=best)


def copied(content: Any) -> Any:
    """Copy tensors to the host, also those already there: the training changes them in place."""
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
