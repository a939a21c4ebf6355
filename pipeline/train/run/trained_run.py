"""Evaluate a run: its network, from a checkpoint, on clips of its dataset."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sciu.models.sciu_model import SciuModel
from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.evaluation.evaluate import Evaluation, Progress, evaluate
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.record.checkpoints import Checkpoints, read_checkpoint, require_fitting, require_whole
from sciu.pipeline.train.record.run_card import RunCard
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.run.build import build, build_network
from sciu.pipeline.train.run.leakage import trained_on
from sciu.pipeline.train.run.own_backbone import as_trained
from sciu.pipeline.train.run.run import usable_held_out
from sciu.pipeline.train.step.average import Average
from sciu.pipeline.train.step.snapshot import TensorGroups, copy_into
from sciu.pipeline.train.step.step import Step

HELD_OUT = "validation"  # the name of the clips that chose the best epoch, as in a run's log


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """The network of a run, from one of its checkpoints."""

    folder: RunFolder
    card: RunCard
    path: Path  # of the checkpoint
    content: dict[str, Any]  # of the checkpoint
    remark: str = ""  # a caveat about its results

    @classmethod
    def of(cls, run: Path, checkpoint: str = "last") -> TrainedNetwork:
        """Read a checkpoint of a run; the dataset is not needed."""
        folder = RunFolder(run)
        card = folder.require()
        path = Checkpoints(folder.checkpoints).find(checkpoint)
        content = read_checkpoint(path)
        require_whole(path, content)
        if content["run"] != card.run:
            raise RunError(f"checkpoint '{path}' must be of run {card.run}, but is of {content['run']}. Evaluate that.")
        backbone, remark = as_trained(folder, card.settings.backbone, content.get("backbone", ""))
        card = replace(card, settings=replace(card.settings, backbone=backbone))
        return cls(folder=folder, card=card, path=path, content=content, remark=remark)

    @property
    def settings(self) -> Settings:
        """The settings of the training."""
        return self.card.settings

    @property
    def epoch(self) -> int:
        """The epoch of the checkpoint."""
        return int(self.content["state"]["epoch"])

    @property
    def step(self) -> int:
        """The step of the checkpoint, if it was written within an epoch, else 0."""
        state = self.content["state"]
        return 0 if state["measured"] else int(state["step"])

    def settings_on(self, device: torch.device) -> Settings:
        """Return the settings of the training, without what only a training needs or what the device cannot do."""
        decode = self.settings.decode if device.type == "cuda" else "auto"
        return replace(
            self.settings, weights="", cuda_graph="off", compile="off", sync_batchnorm=False, cache="off", decode=decode
        )

    def put_into(self, step: Step) -> None:
        """Load the weights and their average into a step."""
        tensors = step.tensors()
        self._copy_into({name: tensors[name] for name in ("model", "average")})

    @contextmanager
    def network(self) -> Iterator[SciuModel]:
        """Build the network alone, on the CPU, with the weights that it is evaluated with."""
        network = build_network(self.settings_on(torch.device("cpu")), self.card.dataset.classes, lambda _line: None)
        average = Average(network, self.settings.average)
        self._copy_into({"model": dict(network.state_dict()), "average": average.tensors()})
        with average.in_place():
            yield network.eval()

    def _copy_into(self, tensors: TensorGroups) -> None:
        require_fitting(self.path, self.content, tensors)
        copy_into(tensors, self.content)


@dataclass(frozen=True, kw_only=True)
class TrainedRun(TrainedNetwork):
    """The network of a run, and a dataset to evaluate it on."""

    dataset: Dataset

    @classmethod
    def load(cls, run: Path, *, checkpoint: str = "last", data: Path | None = None) -> TrainedRun:
        """Read a run; `data` is where its dataset is now, or another one with the same classes."""
        network = TrainedNetwork.of(run, checkpoint)
        card, remark = network.card, network.remark
        dataset = Dataset.load(data or card.dataset.folder)
        if list(dataset.classes) != card.dataset.classes:
            raise RunError(
                f"dataset '{dataset.folder}' must have the classes of the run, {card.dataset.classes}, but has"
                f" {list(dataset.classes)}. Import it with the same classes."
            )
        if dataset.fingerprint != card.dataset.fingerprint:
            other = f"'{dataset.folder}' is not the dataset that '{run}' was trained on"
            remark = "; ".join(filter(None, [other, remark]))
        return cls(**{**vars(network), "remark": remark}, dataset=dataset)

    def evaluate(self, device: torch.device, *, split: str, views: int | None, progress: Progress) -> Evaluation:
        """Evaluate the clips of a split of the dataset, or those that the run held out."""
        ids = self._held_out() if split == HELD_OUT else self.dataset.ids(split, self.settings.fold)
        if not len(ids):
            raise RunError(
                f"split '{split}' of fold {self.settings.fold} must have clips, but has none. Choose another."
            )
        return self.evaluate_clips(ids, device, views=views, progress=progress)

    def trained_on(self, ids: NDArray[np.int64]) -> int:
        """Return how many clips of its dataset the run was trained on: those of a split that was drawn anew since."""
        return trained_on(self.folder, self.dataset, ids)

    def _held_out(self) -> NDArray[np.int64]:
        """Return the clips that chose the run's best epoch; they are known by their ids, in the run's own dataset."""
        if self.dataset.fingerprint != self.card.dataset.fingerprint:
            raise RunError(
                f"split '{HELD_OUT}' must be of the run's own dataset, '{self.card.dataset.folder}', but"
                f" '{self.dataset.folder}' is another one. Choose another split."
            )
        if not self.card.held_out:
            raise RunError(
                f"a run must have held out clips to evaluate split '{HELD_OUT}', but '{self.folder.path}' has none."
                " Choose another split, or train with --validation."
            )
        return usable_held_out(self.card, self.dataset)

    def evaluate_clips(
        self, ids: NDArray[np.int64], device: torch.device, *, views: int | None, progress: Progress
    ) -> Evaluation:
        """Evaluate any clips."""
        with ExitStack() as stack:
            parts = build(self.settings_on(device), self.dataset, device, Ranks(), lambda _line: None, stack)
            self.put_into(parts.step)
            views = views or self.settings.views
            return evaluate(parts.step, parts.feed, parts.planner, ids, views=views, ranks=Ranks(), progress=progress)
