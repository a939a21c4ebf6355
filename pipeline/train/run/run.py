"""A run: its folder, its store and its parts, created or resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.feed.feed import Feed
from sciu.pipeline.feed.plan.plan import Planner
from sciu.pipeline.train.config.methods import policy_of
from sciu.pipeline.train.config.resolve import Resolved, lasting, require_same
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.evaluation.detection import read_truth
from sciu.pipeline.train.evaluation.evaluate import Progress
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.job.stopping import Stop
from sciu.pipeline.train.purify import quarantine_digest
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.record.run_card import RunCard
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.saver import Saver
from sciu.pipeline.train.report.telemetry import Say, Telemetry
from sciu.pipeline.train.report.tensorboard import EventFiles
from sciu.pipeline.train.run.build import build
from sciu.pipeline.train.run.create import create_run
from sciu.pipeline.train.step.step import Step
from sciu.purification import Purifier, SharedPurifier


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What a user requests of a run."""

    data: Path
    out: Path
    resolved: Resolved
    say: Say
    progress: Callable[[str], Progress]
    command: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What the loop works with."""

    settings: Settings
    dataset: Dataset
    folder: RunFolder
    card: RunCard
    ranks: Ranks
    feed: Feed
    planner: Planner
    step: Step
    purifier: SharedPurifier
    saver: Saver
    telemetry: Telemetry | None  # on rank 0 only
    say: Say
    progress: Callable[[str], Progress]
    stop: Stop

    @property
    def checkpoints(self) -> Checkpoints:
        """The run's checkpoints; `saver` writes them."""
        return Checkpoints(self.folder.checkpoints, self.settings.keep)

    def evaluated(self) -> dict[str, NDArray[np.int64]]:
        """Return the clips to evaluate after an epoch, by split; those that the best one is chosen by come first."""
        test = self.dataset.ids("test", self.settings.fold)
        return {"validation": self.held_out, "test": test} if len(self.held_out) else {"test": test}

    @property
    def held_out(self) -> NDArray[np.int64]:
        """Clips of the training split that the best epoch is chosen by, less those that the dataset quarantined."""
        held_out = np.array(self.card.held_out, np.int64)
        return held_out[~self.dataset.quarantined[held_out]]


@contextmanager
def opened(request: RunRequest, device: torch.device, ranks: Ranks, stop: Stop) -> Iterator[Run]:
    """Create a run, or resume the one that exists. Collective."""
    dataset, folder = Dataset.load(request.data), RunFolder(request.out)
    settings = request.resolved.settings
    _require_same_on_all_ranks(request, dataset, ranks)
    with ExitStack() as stack:
        card = ranks.from_first(folder.read)
        if card is not None:
            _require_the_same(card, settings, dataset)
        say = request.say if ranks.first else _silent
        for remark in (*request.resolved.remarks(), *policy_of(settings).remarks()):
            say(f"settings: {remark}")
        parts = build(settings, dataset, device, ranks, say, stack)
        card = card or ranks.from_first(lambda: create_run(folder, request.resolved, request.command, dataset))
        purifier = stack.enter_context(_open_store(folder, card, settings)) if ranks.first else None
        telemetry = None
        if purifier is not None:
            telemetry = stack.enter_context(Telemetry(
                folder=folder, settings=settings, dataset=dataset, purifier=purifier, device=str(device), say=say,
                truth=read_truth(dataset),
                begin=lambda epoch: EventFiles(folder.tensorboard, request.resolved.toml(), epoch),
            ))  # fmt: skip
        saver = Saver(Checkpoints(folder.checkpoints, settings.keep))
        stack.callback(saver.close)
        yield Run(
            settings=settings, dataset=dataset, folder=folder, card=card, ranks=ranks,
            feed=parts.feed, planner=parts.planner, step=parts.step,
            purifier=SharedPurifier(purifier, gather=ranks.gather, broadcast=ranks.broadcast),
            saver=saver, telemetry=telemetry, say=say,
            progress=request.progress if ranks.first else _no_progress, stop=stop,
        )  # fmt: skip


def _open_store(folder: RunFolder, card: RunCard, settings: Settings) -> Purifier:
    if not folder.store.is_dir():
        raise RunError(
            f"store '{folder.store}' is missing. Restore it: it holds all decisions. Without it, the labels of every"
            f" epoch are in '{folder.index}', but the run cannot be resumed."
        )
    purifier = Purifier.open(
        folder.store, fingerprint=card.dataset.fingerprint, policy=policy_of(settings),
        network=settings.network_store,
    )  # fmt: skip
    if (created := purifier.events()[0].time) != card.store:
        purifier.close()
        raise RunError(
            f"store '{folder.store}' must be the run's own, created {card.store}, but was created {created}."
            " Restore the one that belongs to the run."
        )
    return purifier


def _require_the_same(card: RunCard, settings: Settings, dataset: Dataset) -> None:
    saved, now = card.settings, {"dataset": dataset.fingerprint, **lasting(settings)}
    require_same({"dataset": card.dataset.fingerprint, **lasting(saved)}, now)


def _require_same_on_all_ranks(request: RunRequest, dataset: Dataset, ranks: Ranks) -> None:
    """Raise if ranks see different folders: each has read the settings and the dataset itself."""
    mine = asdict(request.resolved.settings), dataset.fingerprint, quarantine_digest(dataset)
    if ranks.any(ranks.broadcast(mine) != mine):
        raise RunError(
            "all ranks must see the same dataset and the same --out, but do not. Put both where all can read them."
        )


def _silent(_line: str) -> None:
    """Print nothing; rank 0 does."""


def _no_progress(_label: str) -> Progress:
    return lambda _done, _total, _note: None
