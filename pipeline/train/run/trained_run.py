"""Evaluate a run: its network, from a checkpoint, on clips of its dataset."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.evaluation.evaluate import Evaluation, Progress, evaluate
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.run.build import build
from sciu.pipeline.train.step.snapshot import copy_into


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """A run and one of its checkpoints."""

    folder: RunFolder
    settings: Settings
    dataset: Dataset
    content: dict[str, Any]  # of the checkpoint
    remark: str = ""  # a caveat about its results

    @classmethod
    def load(cls, run: Path, *, checkpoint: str = "last", data: Path | None = None) -> TrainedRun:
        """Read a run; `data` is where its dataset is now, or another one with the same classes."""
        folder = RunFolder(run)
        card = folder.require()
        dataset = Dataset.load(data or card.dataset.folder)
        if list(dataset.classes) != card.dataset.classes:
            raise RunError(
                f"dataset '{dataset.folder}' must have the classes of the run, {card.dataset.classes}, but has"
                f" {list(dataset.classes)}. Import it with the same classes."
            )
        content = Checkpoints(folder.checkpoints).load(checkpoint)
        other = dataset.fingerprint != card.dataset.fingerprint
        remark = f"'{dataset.folder}' is not the dataset that '{run}' was trained on" if other else ""
        return cls(folder=folder, settings=card.settings, dataset=dataset, content=content, remark=remark)

    @property
    def epoch(self) -> int:
        """The epoch of the checkpoint."""
        return int(self.content["state"]["epoch"])

    @property
    def step(self) -> int:
        """The step of the checkpoint, if it was written within an epoch, else 0."""
        state = self.content["state"]
        return 0 if state["measured"] else int(state["step"])

    def evaluate(self, device: torch.device, *, split: str, views: int | None, progress: Progress) -> Evaluation:
        """Evaluate a split's clips."""
        ids = self.dataset.ids(split, self.settings.fold)
        if not len(ids):
            raise RunError(
                f"split '{split}' of fold {self.settings.fold} must have clips, but has none. Choose another."
            )
        return self.evaluate_clips(ids, device, views=views, progress=progress)

    def evaluate_clips(
        self, ids: NDArray[np.int64], device: torch.device, *, views: int | None, progress: Progress
    ) -> Evaluation:
        """Evaluate any clips."""
        settings = replace(
            self.settings, weights="", cuda_graph="off", compile="off", sync_batchnorm=False, cache="off"
        )
        with ExitStack() as stack:
            parts = build(settings, self.dataset, device, Ranks(), lambda _line: None, stack)
            step = parts.step
            tensors = step.tensors()
            copy_into({name: tensors[name] for name in ("model", "average")}, self.content)
            views = views or settings.views
            return evaluate(step, parts.feed, parts.planner, ids, views=views, ranks=Ranks(), progress=progress)
