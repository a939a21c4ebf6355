"""A run as one object, `summary.json`: its last epoch, its best one, and what was pruned and corrected."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from sciu.pipeline.errors import first_line
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.epoch_record import Detection, Spent
from sciu.pipeline.train.record.history import ending
from sciu.pipeline.train.record.reading import read, read_fields
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.run_state import RunState

_Figure = float | None
_DETECTION = dict[str, _Figure | dict[str, _Figure]] | None


_STAGES = {
    "training": "seconds", "waiting for data": "waiting", "reading": "reading", "decoding": "decoding",
    "rendering": "rendering", "evaluation": "evaluating", "checkpoints": "saving", "purifier": "purifying",
    "reports": "reporting",
}  # fmt: skip
_WITHIN_TRAINING = "waiting for data", "reading", "decoding", "rendering"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The epochs of a run that have ended."""

    method: str
    backbone: str
    pipeline: str
    seed: int
    device: str
    dataset: str
    fold: int
    epochs_done: int
    war: float | None  # of the last evaluation on the test clips
    uar: float | None
    war_best: float | None  # on the test clips, of the best epoch
    uar_best: float | None
    best_epoch: int | None
    best_chosen_on: str | None
    train_clips: int
    pruned: int
    corrected: int
    quarantined: int
    clips_per_epoch: list[int]
    decoded_per_epoch: list[int]
    cached_per_epoch: list[int]
    seconds_per_epoch: list[float]  # of training
    clips_per_second: float
    detection: Detection | None  # if the dataset has a truth
    seconds: dict[str, float] = field(default_factory=dict)  # of all epochs, by stage; an earlier version has none
    ended: str | None = None  # why; None: it has not, or an earlier version wrote it

    @classmethod
    def of(cls, settings: Settings, state: RunState, *, dataset: str, device: str) -> Summary:
        """Summarise a run."""
        last, best = state.history[-1], state.best
        assert last.purify is not None
        counts = last.purify.counts
        tested = next((record.test for record in reversed(state.history) if record.test), None)
        spent = [record.spent for record in state.history]
        return cls(
            method=settings.method, backbone=settings.backbone, pipeline=settings.pipeline, seed=settings.seed,
            device=device, dataset=dataset, fold=settings.fold, epochs_done=last.epoch,
            war=tested.war if tested else None, uar=tested.uar if tested else None,
            war_best=best.war if best else None, uar_best=best.uar if best else None,
            best_epoch=best.epoch if best else None, best_chosen_on=best.chosen_on if best else None,
            train_clips=counts["clips"], pruned=counts["pruned"], corrected=counts["corrected"],
            quarantined=counts["quarantined"],
            clips_per_epoch=[each.clips for each in spent], decoded_per_epoch=[each.decoded for each in spent],
            cached_per_epoch=[each.cached for each in spent],
            seconds_per_epoch=[round(each.seconds, 3) for each in spent],
            clips_per_second=round(last.clips_per_second, 2), detection=last.purify.detection,
            seconds=_seconds(spent), ended=ending(state.history, settings),
        )  # fmt: skip

    @property
    def total_seconds(self) -> float:
        """The time of the epochs; of a run that an earlier version wrote that of their training."""
        whole = {name: value for name, value in self.seconds.items() if name not in _WITHIN_TRAINING}
        return sum(whole.values()) if whole else sum(self.seconds_per_epoch)

    def where_time_went(self) -> str:
        """Return the share of each stage in the time of the epochs, in one line."""
        total = self.total_seconds
        shares = {name: f"{name} {value / total:.1%}" for name, value in self.seconds.items() if total}
        within = ", ".join(shares.pop(name) for name in _WITHIN_TRAINING if name in shares)
        first, *rest = shares.values() or [""]
        return f"{total:,.1f} s: " + ", ".join([f"{first} (of it {within})", *rest])

    def to_json(self) -> dict[str, Any]:
        """Return what `summary.json` and `sciu-train --json` show."""
        content = asdict(self)
        if self.detection is None:
            del content["detection"]
        return content

    @classmethod
    def from_json(cls, content: Any) -> Summary:
        """Read what `to_json` returns; what a later version has added is ignored."""
        given = read(dict[str, Any], content, "the summary")
        read(_DETECTION, given.get("detection"), "detection")
        summary = cls(**read_fields(cls, {"detection": None, **given}))
        if not summary.clips_per_epoch:
            raise TypeError("clips_per_epoch is empty")
        return summary

    @classmethod
    def load(cls, run: RunFolder) -> Summary:
        """Read a run's `summary.json`."""
        try:
            return cls.from_json(json.loads(run.summary.read_text("utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            raise RunError(f"'{run.path}' must be a run with a finished epoch, but has no summary.json.") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise RunError(
                f"'{run.summary}' is damaged: {first_line(error)}. Its content is in the last checkpoint, too:"
                " `sciu-train --resume --json` prints it at the end of the run."
            ) from error


def _seconds(spent: list[Spent]) -> dict[str, float]:
    """Return the seconds of all epochs by stage."""
    return {stage: round(sum(getattr(each, name) for each in spent), 3) for stage, name in _STAGES.items()}
