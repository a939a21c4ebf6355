"""What a trained network says of clips that are in no dataset: files, folders of frames, packed frames."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.build import without_labels
from sciu.pipeline.train.config.choices import choose_device
from sciu.pipeline.train.config.methods import METHODS
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.evaluation.evaluate import Predictions, Progress, predict
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.run.build import build_feed, build_step, planner_of
from sciu.pipeline.train.run.trained_run import TrainedNetwork
from sciu.pipeline.train.step.step import Step


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the network says of a clip, or why the clip cannot be read."""

    path: str  #: as it was given
    label: str | None = None  #: the most probable class
    probabilities: dict[str, float] = field(default_factory=dict)  #: by class
    weight: float | None = None  #: how much the clip is worth learning from, 0 to 1; None without a weight head
    fault: str | None = None  #: why the clip cannot be read


def _silent(*_: object) -> None:
    pass


def _text(path: Path) -> str:
    """Return a path as text; bytes that are no UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


@dataclass(kw_only=True)
class Predictor:
    """A network that is ready to predict.

    Example: `Predictor.load("runs/dfew-1")(["clip.mp4", "folder-of-frames"])[0].label`
    """

    network: TrainedNetwork
    device: torch.device
    views: int
    _step: Step

    @classmethod
    def load(
        cls, run: Path | str, *, checkpoint: str = "last", device: str = "auto", views: int | None = None,
        batch_size: int | None = None,
    ) -> Predictor:  # fmt: skip
        """Load a checkpoint of a run; its dataset is not needed. `views` and `batch_size` are by default the run's."""
        network = TrainedNetwork.of(Path(run), checkpoint)
        if network.settings.pipeline == "synthetic":
            raise RunError(f"run '{run}' was trained on noise, with --pipeline synthetic, and knows no clips.")
        if batch_size:
            settings = replace(network.settings, batch_size=batch_size)
            network = replace(network, card=replace(network.card, settings=settings))
        chosen, _ = choose_device(device)
        step = build_step(network.settings_on(chosen), 1, network.card.dataset.classes, chosen, Ranks(), _silent)
        network.put_into(step)
        return cls(network=network, device=chosen, views=views or network.settings.views, _step=step)

    @property
    def classes(self) -> list[str]:
        """The classes, in the order of the network's outputs."""
        return self.network.card.dataset.classes

    def __call__(self, paths: Iterable[Path | str], progress: Progress = _silent) -> list[Prediction]:
        """Predict clips, in the order of their paths; a clip that cannot be read has a fault, the others do not."""
        clips = [Path(path) for path in paths]
        dataset = without_labels(clips, self.classes, lambda _done, _total: None)
        usable = np.flatnonzero(~dataset.quarantined)
        seen, faults = self._predict(dataset, usable, progress)
        faults |= {clip: dataset.clips.quarantine[clip] or "" for clip in np.flatnonzero(dataset.quarantined).tolist()}
        rows = {clip: row for row, clip in enumerate(seen.ids.tolist())} if seen else {}
        return [
            self._prediction(path, seen, rows[clip])
            if seen and clip in rows
            else Prediction(path=path, fault=faults.get(clip, "cannot be decoded"))
            for clip, path in enumerate(map(_text, clips))
        ]

    def _predict(
        self, dataset: Dataset, ids: NDArray[np.int64], progress: Progress
    ) -> tuple[Predictions | None, dict[int, str]]:
        """Return the predictions and the reasons of clips that fail while they are decoded."""
        if not len(ids):
            return None, {}
        settings = replace(self.network.settings_on(self.device), max_faulty=1.0)  # the clips have nothing in common
        with build_feed(settings, dataset, self.device, Ranks(), _silent) as feed:
            planner = planner_of(settings, dataset, Ranks())
            seen = predict(self._step, feed, planner, ids, views=self.views, ranks=Ranks(), progress=progress)
            return seen, dict(feed.faults)

    def _prediction(self, path: str, seen: Predictions, row: int) -> Prediction:
        probabilities = dict(zip(self.classes, seen.probs[row].tolist(), strict=True))
        weighs = METHODS[self.network.settings.method].weight_head != "none"
        return Prediction(
            path=path, label=max(probabilities, key=probabilities.__getitem__), probabilities=probabilities,
            weight=float(seen.weights[row]) if weighs else None,
        )  # fmt: skip

    def close(self) -> None:
        """Release the network."""
        self._step.close()

    def __enter__(self) -> Predictor:  # noqa: PYI034 - Self needs Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
