"""Runs in this process that take a moment: a network of a hundred weights, over clips or over noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.resolve import resolve
from sciu.pipeline.train.evaluation.evaluate import Progress
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.job.stopping import Stop
from sciu.pipeline.train.run.run import Run, RunRequest, opened

CPU = torch.device("cpu")
SMALL: dict[str, Any] = {
    "backbone": "small_runs:Small", "size": 8, "frames": 2, "batch_size": 4, "pipeline": "synthetic",
    "method": "plain", "epochs": 2, "average": 0.5, "lr": 0.1, "device": "cpu",
}  # fmt: skip


class Small(nn.Module):
    """Means of colours, normalised by running statistics, some of them dropped by chance."""

    embedding_size = 8

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.drop, self.mix = nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, self.embedding_size)

    def forward(self, clip_BTCHW: Tensor) -> Tensor:
        colours_BCT = clip_BTCHW.mean(dim=(3, 4)).transpose(1, 2)
        embedding_BD: Tensor = self.mix(self.drop(self.norm(colours_BCT)).mean(dim=2))
        return embedding_BD


Watch = Callable[[Run, str, int], None]
"""(run, what goes on, how many steps of it) after each step of an epoch or an evaluation."""


@contextmanager
def opened_run(
    data: Dataset, out: Path, *, watch: Watch | None = None, say: Callable[[str], None] | None = None, **settings: Any
) -> Iterator[Run]:
    """Begin a run, or go on with one."""
    runs: list[Run] = []

    def progress(label: str) -> Progress:
        return lambda done, _total, _note: watch(runs[0], label, done) if watch else None

    flags = [("--epochs", {"epochs": settings["epochs"]})] if "epochs" in settings else []
    request = RunRequest(
        data=data.folder, out=out, resolved=resolve([("a test", {**SMALL, **settings}), *flags]),
        say=say or (lambda _line: None), progress=progress,
    )  # fmt: skip
    with opened(request, CPU, Ranks(), Stop()) as run:
        runs.append(run)
        yield run


def tensors_of(run: Run) -> dict[str, Tensor]:
    """All that training changes, copied."""
    return {f"{group}.{name}": t.clone() for group, each in run.step.tensors().items() for name, t in each.items()}
