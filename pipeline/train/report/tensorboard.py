"""The layout of TensorBoard's page, with the main charts first, and the event files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

_Layout = dict[str, dict[str, list[Any]]]

_LAYOUT: _Layout = {
    "Overview": {
        "accuracy": ["Multiline", ["(test|validation)/(war|uar)"]],
        "purification": ["Multiline", ["purify/(pruned|corrected|quarantined)$"]],
        "loss": ["Multiline", ["train/loss"]],
    },
    "Purification": {
        "this epoch": ["Multiline", ["purify/(newly_pruned|newly_corrected|restored)"]],
        "thresholds": ["Multiline", ["purify/threshold/.*"]],
        "spared by guards": ["Multiline", ["purify/spared/.*"]],
    },
    "Speed": {
        "clips a second": ["Multiline", ["speed/clips_per_second"]],
        "share of time waiting for data": ["Multiline", ["speed/waiting"]],
    },
}

_BY_CLASS = {
    "Recall": "(test|validation)/recall/",
    "Pruned and corrected away": "purify/class/(pruned|corrected_away)/",
}


def layout(classes: Sequence[str]) -> _Layout:
    """Return the page: a chart for each class, in which runs are compared; in one for all, 3 runs are 21 curves."""
    by_class = {
        title: {name: ["Multiline", [f"{tag}{re.escape(name)}$"]] for name in classes}
        for title, tag in _BY_CLASS.items()
    }
    return {**_LAYOUT, **by_class}


class EventFiles:
    """The event files of a run. Epochs from `first` on are written again: readers drop what a killed run left."""

    def __init__(self, folder: Path, settings: str, first: int, classes: Sequence[str]) -> None:
        self._folder = folder
        self._writer: Any = SummaryWriter(str(folder), purge_step=first)
        if first == 1:
            self._writer.add_custom_scalars(layout(classes))
            self._writer.add_text("settings", "\n".join(f"    {line}" for line in settings.splitlines()), 0)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Name the folder in a system error: TensorBoard writes in a thread, and any later call raises its error."""
        try:
            yield
        except OSError as error:
            error.filename = error.filename or str(self._folder)
            raise

    def numbers(self, epoch: int, values: dict[str, float]) -> None:
        """Show numbers by their tags."""
        with self._named():
            for tag, value in values.items():
                self._writer.add_scalar(tag, value, epoch)

    def histogram(self, epoch: int, tag: str, values: NDArray[Any]) -> None:
        """Show how values are distributed."""
        finite = values[np.isfinite(values)]
        with self._named():
            if len(finite):
                self._writer.add_histogram(tag, finite, epoch)

    def picture(self, epoch: int, tag: str, encoded: bytes) -> None:
        """Show a PNG or GIF file as it is; torch's own `add_video` needs an old moviepy."""
        image = Summary.Image(encoded_image_string=encoded, colorspace=3)
        with self._named():
            self._writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), epoch)

    def flush(self) -> None:
        """Write what is buffered, at the end of each epoch."""
        with self._named():
            self._writer.flush()

    def close(self) -> None:
        """Write the rest and close the files."""
        with self._named():
            self._writer.close()
