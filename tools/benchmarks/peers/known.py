"""Every peer by name: what it reads, where it is, what installs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.feed.plan.plan import Plan, Planner
from sciu.tools.benchmarks.peers.clips import Batch, Clips, Orders, TunedLoader
from sciu.tools.command.options import imported


class Loader(Protocol):
    """A peer at work."""

    def batches(self, plan: Plan) -> Iterator[Batch]:
        """Yield the batches of a plan."""

    def close(self) -> None:
        """End its processes."""


@dataclass(frozen=True)
class Known:
    """A peer that may be installed."""

    name: str
    kind: str  # of the datasets that it reads
    place: str
    install: str
    is_loader: bool = False  # and not only clips for a DataLoader

    def imported(self) -> Any:
        """Import its class; torchcodec loads the FFmpeg of the system then."""
        return imported(f"{__package__}.{self.place}")


_KNOWN = (
    Known("Pillow", "frames", "pillow_clips:PillowClips", "pip install pillow"),
    Known("torchvision", "frames", "torchvision_clips:TorchvisionClips", "pip install torchvision"),
    Known("WebDataset", "frames", "webdataset_loader:WebDatasetLoader", "pip install webdataset", is_loader=True),
    Known("PyAV", "video", "pyav_clips:PyavClips", "pip install av"),
    Known("decord", "video", "decord_clips:DecordClips", "pip install decord"),
    Known("torchcodec", "video", "torchcodec_clips:TorchcodecClips", "pip install torchcodec; apt install ffmpeg"),
)


def tuned(planner: Planner) -> Iterator[tuple[str, Loader]]:
    """Yield the peers that are installed here, each tuned as far as its users would."""
    dataset, size = planner.dataset, planner.size
    for known in filter(_works, _of_kind(dataset)):
        peer, orders = known.imported(), Orders(len(dataset), planner.sampling.frames)
        if known.is_loader:
            yield f"{known.name}, tuned", peer(dataset, size, orders, planner.batch_size)
        else:
            yield f"DataLoader, {known.name}, tuned", TunedLoader(peer(dataset, size, orders))


def usual(planner: Planner) -> tuple[str, Clips]:
    """Return the clips as most of the field's codes read them, by the first peer of their kind."""
    dataset = planner.dataset
    first, orders = _of_kind(dataset)[0], Orders(len(dataset), planner.sampling.frames)
    clips: Clips = first.imported()(dataset, planner.size, orders)
    return first.name, clips


def missing(dataset: Dataset) -> list[str]:
    """Return the peers that do not work here, each with what installs it."""
    return [f"{known.name} ({known.install})" for known in _of_kind(dataset) if not _works(known)]


def _of_kind(dataset: Dataset) -> list[Known]:
    return [known for known in _KNOWN if known.kind == ("frames" if dataset.kind == "frames" else "video")]


def _works(known: Known) -> bool:
    """Return whether a peer can be imported."""
    try:
        known.imported()
    except (ImportError, OSError, RuntimeError):
        return False
    return True
