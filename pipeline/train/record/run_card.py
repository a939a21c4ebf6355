"""The card of a run, `run.json`: its settings, its dataset and where its labels come from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
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
class RunCard:
    """The card of a run, written when it is created, and again when its dataset is moved or its backbone may change."""

    run: str  # a unique name
    command: str
    settings: Settings
    origins: dict[str, str]  # where the value of each setting came from
    dataset: DatasetCard
    labels_from: dict[str, str] | None  # the file or run that the labels were taken from
    held_out: list[int] = field(repr=False)  # clips that choose the best epoch
    store: str  # when the store was created
    backbone: str = ""  # the SHA-256 of the source of a user's own

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
        return card
