"""A run as one object, `summary.json`: its last epoch, its best one, and what was pruned and corrected."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.record.epoch_record import Detection
from sciu.pipeline.train.record.run_state import RunState


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
    seconds_per_epoch: list[float]
    clips_per_second: float
    detection: Detection | None  # if the dataset has a truth

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
        )  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return what `summary.json` and `sciu-train --json` show."""
        content = asdict(self)
        if self.detection is None:
            del content["detection"]
        return content
