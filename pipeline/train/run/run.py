"""A run: its folder, its store and its parts, created or resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.splits.summary import cautions
from sciu.pipeline.feed.feed import Feed
from sciu.pipeline.feed.plan.plan import Planner
from sciu.pipeline.train.config.methods import policy_of
from sciu.pipeline.train.config.resolve import Resolved, lasting, require_same
from sciu.pipeline.train.config.schedule import Schedule
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.evaluation.detection import read_truth
from sciu.pipeline.train.evaluation.evaluate import Progress
from sciu.pipeline.train.job.ranks import Ranks
from sciu.pipeline.train.job.stopping import Stop
from sciu.pipeline.train.purify import quarantine_digest
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.record.run_card import DatasetCard, RunCard
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.saver import Saver
from sciu.pipeline.train.report.telemetry import WARNING, Say, Telemetry
from sciu.pipeline.train.report.tensorboard import EventFiles
from sciu.pipeline.train.run.build import build
from sciu.pipeline.train.run.create import choose_clips, create_run
from sciu.pipeline.train.run.leakage import run_of, trained_on
from sciu.pipeline.train.run.longer import is_asked_for, prolonged, remarks
from sciu.pipeline.train.run.own_backbone import accepted, as_trained, fingerprint, imported_beside, note_change
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

    def schedule(self, epoch: int) -> Schedule:
        """Return the schedule of the learning rate of an epoch."""
        return replace(self.settings.lr_schedule(), epochs=self.card.epochs_at(epoch))

    def evaluated(self) -> dict[str, NDArray[np.int64]]:
        """Return the clips to evaluate after an epoch, by split; those that the best one is chosen by come first."""
        test = self.dataset.ids("test", self.settings.fold)
        return {"validation": self.held_out, "test": test} if len(self.held_out) else {"test": test}

    @property
    def held_out(self) -> NDArray[np.int64]:
        """Clips of the training split that the best epoch is chosen by, less those that the dataset quarantined."""
        return usable_held_out(self.card, self.dataset)


def usable_held_out(card: RunCard, dataset: Dataset) -> NDArray[np.int64]:
    """Return the clips that a run holds out to choose the best epoch by, less those in the dataset's quarantine."""
    held_out = np.array(card.held_out, np.int64)
    if len(held_out) and held_out.max() >= len(dataset):
        raise RunError(
            f"held_out in the run's run.json must be clips of '{dataset.folder}', 0 to {len(dataset) - 1}, but one is"
            f" {held_out.max()}. Restore the file from a copy, or begin a new run."
        )
    return held_out[~dataset.quarantined[held_out]]


@contextmanager
def opened(request: RunRequest, device: torch.device, ranks: Ranks, stop: Stop) -> Iterator[Run]:
    """Create a run, or resume the one that exists. Collective."""
    dataset, folder = Dataset.load(request.data), RunFolder(request.out)
    settings = request.resolved.settings
    _require_same_on_all_ranks(request, dataset, ranks)
    with ExitStack() as stack:
        card, source = ranks.from_first(folder.read), None
        if card is not None:
            _require_the_same(card, request.resolved, dataset, folder)
            source = ranks.from_first(partial(accepted, folder, card, settings, request.say))
            card = replace(card, backbone=source.fingerprint) if source else card
        clips = None if card else ranks.from_first(partial(choose_clips, settings, dataset))  # refuses before any work
        say = request.say if ranks.first else _silent
        for remark in _commands(request.command, card):
            say(remark)
        if ranks.first:
            _caution(request.resolved, dataset, say)
        parts = build(_to_build(settings, folder, card, say), dataset, device, ranks, say, stack)
        if clips is not None:
            card = ranks.from_first(partial(create_run, folder, request.resolved, request.command, dataset, clips))
        assert card is not None
        if settings.validation:
            trained = len(dataset.ids("train", settings.fold))
            say(f"validation: {len(card.held_out):,} of {trained:,} training clips choose the best epoch instead")
        if settings.patience:
            say(_patience(settings, card))
        purifier = stack.enter_context(_open_store(folder, card, settings)) if ranks.first else None
        shared = SharedPurifier(purifier, gather=ranks.gather, broadcast=ranks.broadcast)
        card = _as_long_as_wanted(card, settings, folder, shared, ranks)
        for remark in remarks(card):
            say(remark)
        telemetry = None
        if purifier is not None:
            _note_changes(folder, dataset, settings)
            telemetry = stack.enter_context(Telemetry(
                folder=folder, settings=settings, dataset=dataset, purifier=purifier, device=str(device), say=say,
                truth=read_truth(dataset),
                begin=lambda epoch: EventFiles(folder.tensorboard, request.resolved.toml(), epoch, dataset.classes),
            ))  # fmt: skip
        saver = Saver(
            Checkpoints(folder.checkpoints, settings.keep), partial(note_change, folder, source) if source else None
        )
        stack.callback(saver.close)
        yield Run(
            settings=settings, dataset=dataset, folder=folder, card=card, ranks=ranks,
            feed=parts.feed, planner=parts.planner, step=parts.step,
            purifier=shared,
            saver=saver, telemetry=telemetry, say=say,
            progress=request.progress if ranks.first else _no_progress, stop=stop,
        )  # fmt: skip


def _commands(command: str, card: RunCard | None) -> list[str]:
    """Return the command of this process, and that which began the run, so that they can be repeated."""
    begun = card.command if card else ""
    return [f"command: {command}"] * bool(command) + [f"begun by: {begun}"] * (begun not in ("", command))


def _patience(settings: Settings, card: RunCard) -> str:
    """Return what a run that may end early says of it."""
    split = "validation" if card.held_out else "test"
    many = settings.patience
    said = f"patience: {many}; the run ends after so many evaluations of the {split} clips without a better one"
    flatters = "; the test clips thus decide when, which flatters it: --validation holds out clips for that"
    return said if card.held_out else said + flatters


def _as_long_as_wanted(
    card: RunCard, settings: Settings, folder: RunFolder, purifier: SharedPurifier, ranks: Ranks
) -> RunCard:
    """Return the run's card, which says that the run became longer if it did. Collective."""
    undecided = purifier.ask(lambda opened: opened.epoch)
    return ranks.from_first(partial(prolonged, folder, card, settings.epochs, undecided))


def _note_changes(folder: RunFolder, dataset: Dataset, settings: Settings) -> None:
    """Write into the card where the dataset is now, if it was moved since, and when the run ends, if that changed."""
    card = folder.require()
    if (card.dataset.folder, card.settings.patience) != (str(dataset.folder), settings.patience):
        known = replace(card.settings, patience=settings.patience)
        folder.write(replace(card, dataset=DatasetCard.of(dataset), settings=known))


def _to_build(settings: Settings, folder: RunFolder, card: RunCard | None, say: Say) -> Settings:
    """Return the settings to build the network of a run by.

    A run that is resumed needs neither the source of the user's backbone, of which it has a copy, nor the weights that
    it began with, once it has a checkpoint.
    """
    if card is None:
        return settings
    backbone, remark = as_trained(folder, settings.backbone, card.backbone)
    if remark:
        say(remark)
    has_checkpoint = any(folder.checkpoints.glob("*.pt"))
    return replace(settings, backbone=backbone, weights="" if has_checkpoint else settings.weights)


def _caution(resolved: Resolved, dataset: Dataset, say: Say) -> None:
    """Say what makes the results mean less than they seem to."""
    settings = resolved.settings
    for caution in cautions(dataset, settings.fold):
        say(f"{WARNING}dataset: {caution}")
    for remark in (*resolved.remarks(), *policy_of(settings).remarks()):
        say(f"settings: {remark}")
    if beside := imported_beside(settings.backbone):
        say(f"{WARNING}backbone: what it imports is not copied, nor a change of that noticed: {', '.join(beside)}")
    before = run_of(Path(settings.weights).expanduser()) if settings.weights else None
    test = dataset.ids("test", settings.fold)
    if before and (known := trained_on(before, dataset, test)):
        say(
            f"{WARNING}the weights of '{before.path}' were trained on {known:,} of the {len(test):,} test clips, so"
            " that results on them say little. Take weights of a run with the same split and fold"
        )


def _open_store(folder: RunFolder, card: RunCard, settings: Settings) -> Purifier:
    if not folder.store.is_dir():
        raise RunError(
            f"store '{folder.store}' is missing. Restore it: it holds all decisions. Without it, the labels of every"
            f" epoch are in '{folder.index}', but the run cannot be resumed."
        )
    purifier = Purifier.open(
        folder.store, fingerprint=card.dataset.fingerprint, network=settings.network_store,
        policy=policy_of(replace(settings, epochs=card.first_epochs)),
    )  # fmt: skip
    if (created := purifier.events()[0].time) != card.store:
        purifier.close()
        raise RunError(
            f"store '{folder.store}' must be the run's own, created {card.store}, but was created {created}."
            " Restore the one that belongs to the run."
        )
    return purifier


def _require_the_same(card: RunCard, resolved: Resolved, dataset: Dataset, folder: RunFolder) -> None:
    if dataset.fingerprint != card.dataset.fingerprint:
        same = Path(card.dataset.folder).resolve() == dataset.folder.resolve()
        what = "has other labels or splits than it had" if same else "is another one, or has other labels or splits"
        raise RunError(
            f"a run must be resumed on its dataset, '{card.dataset.folder}', as it was, but '{dataset.folder}' {what}."
            " Name the run's own, restore the split that it had, or begin a new run."
        )
    settings = resolved.settings
    begun = replace(card.settings, epochs=settings.epochs) if is_asked_for(resolved, card) else card.settings
    require_same(lasting(begun), lasting(settings), folder.path)


def _require_same_on_all_ranks(request: RunRequest, dataset: Dataset, ranks: Ranks) -> None:
    """Raise if ranks see different folders: each has read the settings and the dataset itself."""
    settings = request.resolved.settings
    mine = asdict(settings), dataset.fingerprint, quarantine_digest(dataset), fingerprint(settings.backbone)
    if ranks.any(ranks.broadcast(mine) != mine):
        raise RunError(
            "all ranks must see the same dataset, --out and --backbone, but do not. Put them where all can read them."
        )


def _silent(_line: str) -> None:
    """Print nothing; rank 0 does."""


def _no_progress(_label: str) -> Progress:
    return lambda _done, _total, _note: None
