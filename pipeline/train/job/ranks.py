"""The processes of a job: one per GPU, started by torchrun; or this one alone, for which every call is free."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from sciu.pipeline.errors import require
from sciu.pipeline.train.errors import TrainError
from sciu.purification.shared_purifier import on_rank_0

_PATIENCE = timedelta(minutes=30)  # rank 0 evaluates and writes while the others wait
_LARGE = 1 << 16  # bytes of an array from which a message of its own costs less than a copy

Result = TypeVar("Result")


@dataclass(frozen=True)
class Ranks:
    """This process's rank, and collective operations over all ranks."""

    rank: int = 0
    world: int = 1
    here: int = 1  # ranks on this machine
    control: Any = None  # a group over the CPU, for objects that are not tensors

    @property
    def first(self) -> bool:
        """Whether this is rank 0, the one that writes."""
        return self.rank == 0

    def gather(self, given: Any) -> list[Any] | None:
        """Return the objects of all ranks on rank 0, None on the others. Large arrays travel without a copy."""
        if self.world == 1:
            return [given]
        packed, sizes, arrays = _packed(given)
        heads: list[Any] | None = [None] * self.world if self.first else None
        dist.gather_object((packed, sizes), heads, group=self.control)
        if heads is None:
            for array in arrays:
                dist.send(array, 0, group=self.control)
            return None
        gathered = [given]
        for rank, (packed, sizes) in enumerate(heads[1:], start=1):
            arrays = [torch.empty(size, dtype=torch.uint8) for size in sizes]
            for array in arrays:
                dist.recv(array, rank, group=self.control)
            gathered.append(_unpacked(packed, arrays))
        return gathered

    def broadcast(self, given: Any) -> Any:
        """Return rank 0's object on every rank. Large arrays travel without a copy."""
        if self.world == 1:
            return given
        packed, sizes, arrays = _packed(given) if self.first else (b"", [], [])
        box: list[Any] = [packed, sizes]
        dist.broadcast_object_list(box, group=self.control)
        packed, sizes = box
        if not self.first:
            arrays = [torch.empty(size, dtype=torch.uint8) for size in sizes]
        for array in arrays:
            dist.broadcast(array, 0, group=self.control)
        return given if self.first else _unpacked(packed, arrays)

    def from_first(self, work: Callable[[], Result]) -> Result:
        """Run `work` on rank 0 alone, and return its result on all ranks, or fail on all of them. Collective."""
        return on_rank_0(work if self.first else None, self.broadcast, error=TrainError)

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set on any rank."""
        if self.world == 1:
            return flag
        flags = torch.tensor(int(flag))
        dist.all_reduce(flags, dist.ReduceOp.MAX, group=self.control)
        return bool(flags)

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over the ranks, in place."""
        if self.world > 1:
            dist.all_reduce(tensor)
        return tensor

    def sum_all(self, tensors: list[Tensor]) -> None:
        """Sum tensors over the ranks in place: one message, whatever their number."""
        if self.world > 1 and tensors:
            flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
            dist.all_reduce(flat)
            parts = flat.split([tensor.numel() for tensor in tensors])
            torch._foreach_copy_(tensors, [part.view_as(t) for part, t in zip(parts, tensors, strict=True)])

    def totals(self, numbers: dict[str, float]) -> dict[str, float]:
        """Sum numbers over the ranks, by name."""
        every = [numbers]
        if self.world > 1:
            every = [{} for _ in range(self.world)]
            dist.all_gather_object(every, numbers, group=self.control)
        return {name: sum(each[name] for each in every) for name in numbers}

    def mean_all(self, tensors: list[Tensor]) -> None:
        """Average tensors over the ranks, in place."""
        if self.world > 1:
            self.sum_all(tensors)
            torch._foreach_div_(tensors, self.world)

    def share(self, tensors: list[Tensor]) -> None:
        """Copy rank 0's tensors to all ranks, in place."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)


def _packed(given: Any) -> tuple[bytes, list[int], list[Tensor]]:
    """Pickle an object, but not its large arrays: return their sizes in bytes, and their memory."""
    buffers: list[memoryview] = []

    def stays(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < _LARGE or raw.readonly:  # torch wants memory that it may write to
            return True
        buffers.append(raw)
        return False

    packed = pickle.dumps(given, protocol=5, buffer_callback=stays)
    return packed, [raw.nbytes for raw in buffers], [torch.frombuffer(raw, dtype=torch.uint8) for raw in buffers]


def _unpacked(packed: bytes, arrays: list[Tensor]) -> Any:
    return pickle.loads(packed, buffers=[array.numpy() for array in arrays])  # noqa: S301 - by a rank of this job


def local_rank() -> int:
    """Return this process's rank on its machine, which is also its GPU's number."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the other ranks, if torchrun started any."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks()
        return
    require(dist.is_available(), "torch", "built with torch.distributed for several ranks", torch.__version__)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        control = dist.new_group(backend="gloo", timeout=_PATIENCE) if device.type == "cuda" else None
        here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        yield Ranks(dist.get_rank(), dist.get_world_size(), here, control)
    finally:
        dist.destroy_process_group()
