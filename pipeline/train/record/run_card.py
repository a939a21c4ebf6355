"""The card of a run, `run.json`: its settings, its dataset and where its labels come from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.settings import Settings, checked
from sciu.pipeline.train.record.epoch_record import known

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """The dataset of a run."""

    folder: str
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
    """The card of a run, written once, when it is created."""

    run: str  # a unique name
    command: str
    settings: Settings
    origins: dict[str, str]  # where the value of each setting came from
    dataset: DatasetCard
    labels_from: dict[str, str] | None  # the file or run that the labels were taken from
    held_out: list[int] = field(repr=False)  # clips that choose the best epoch
    store: str  # when the store was created

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> RunCard:
        """Read what `to_json` returns; settings that it lacks get their defaults."""
        return cls(
            run=content["run"], command=content.get("command", ""),
            settings=Settings(**{name: checked(name, value) for name, value in content["settings"].items()}),
            origins=content.get("origins", {}), dataset=DatasetCard(**known(DatasetCard, content["dataset"])),
            labels_from=content.get("labels_from"),
            held_out=[*content["held_out"]], store=content["store"],
        )  # fmt: skip
