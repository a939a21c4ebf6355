"""The card of a run, `run.json`: its settings, its dataset and where its labels come from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.settings import Settings, checked
from sciu.pipeline.train.record.reading import read, read_fields

FORMAT = 1
_LAST_CLIP = (1 << 31) - 1  # of any dataset


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """The dataset of a run."""

    folder: str  # where it was when the run was last trained
    name: str
    fingerprint: str
    classes: list[str]

    @classmethod
    def of(cls, dataset: Dataset) -> DatasetCard:
        """Describe a dataset."""
        return cls(
            folder=str(dataset.folder), name=dataset.name, fingerprint=dataset.fingerprint, classes=[*dataset.classes]
        )


@dataclass(frozen=True, kw_only=True)
class Length:
    """How many epochs a run was to have, as of one of them."""

    from_epoch: int
    epochs: int


@dataclass(frozen=True, kw_only=True)
class RunCard:
    """The card of a run, written when it is created, and again when what it says of the run changes."""

    run: str  # a unique name
    command: str
    settings: Settings
    origins: dict[str, str]  # where the value of each setting came from
    dataset: DatasetCard
    labels_from: dict[str, str] | None  # the file or run that the labels were taken from
    held_out: list[int] = field(repr=False)  # clips that choose the best epoch
    store: str  # when the store was created
    backbone: str = ""  # the SHA-256 of the source of a user's own
    version: str = ""  # of sciu, that the run was begun with
    lengths: list[Length] = field(default_factory=list)  # what it was begun with and went on for; empty: it never did

    @property
    def first_epochs(self) -> int:
        """The number of epochs that the run was begun with: the purifier's policy goes by it for ever."""
        return self.lengths[0].epochs if self.lengths else self.settings.epochs

    def epochs_at(self, epoch: int) -> int:
        """Return how many epochs the run was to have when an epoch began: its learning rate goes by that."""
        known = [each.epochs for each in self.lengths if each.from_epoch <= epoch]
        return known[-1] if known else self.settings.epochs

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> RunCard:
        """Read what `to_json` returns; settings that it lacks get their defaults."""
        given = read(dict[str, Any], content["settings"], "settings")
        settings = Settings(**{name: checked(name, value) for name, value in given.items()})
        absent: dict[str, Any] = {"command": "", "origins": {}, "labels_from": None}
        card = cls(**read_fields(cls, {**absent, **content, "settings": settings}))
        if wrong := [clip for clip in card.held_out if not 0 <= clip <= _LAST_CLIP]:
            raise TypeError(f"held_out must be clip ids, but has {wrong[0]}")
        _require_lengths(card)
        return card


def _require_lengths(card: RunCard) -> None:
    """Raise unless a run became longer and longer, from an epoch to a later one, and is now as long as it is to be."""
    begins, epochs = [each.from_epoch for each in card.lengths], [each.epochs for each in card.lengths]
    if card.lengths and (begins != sorted(begins) or begins[0] != 1):
        raise TypeError(f"lengths must begin in epoch 1 and then in later ones, but begin in {begins}")
    if card.lengths and (epochs != sorted(set(epochs)) or epochs[-1] != card.settings.epochs):
        raise TypeError(f"lengths must grow up to {card.settings.epochs} epochs, but are {epochs}")
    for each in epochs:
        replace(card.settings, epochs=each)  # its ranges are checked
