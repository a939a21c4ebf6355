"""What is decided after an epoch, and by which rule: SCIU, SCN, or nothing. `auto` has its own package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import PINS, ClipStates, Status
from sciu.purification.errors import PolicyError
from sciu.purification.rules import cgp, fgc, scn
from sciu.purification.rules.guards import Relabelling, guard, spare_classes
from sciu.purification.rules.thresholds import lambda_from_scores, tau_from_noise
from sciu.purification.store.evidence import Evidence, Floats

Threshold = float | Literal["auto"] | None
_LONGEST = 32  # scores whose sum is exact in a double; `evidence.py`


@dataclass(frozen=True)
class Grounds:
    """The numbers by clip id that a decision is based on, and that its row of the history stores."""

    quality: Floats  # for which a clip is pruned or restored
    sureness: Floats  # with which it is corrected
    margin: Floats  # by which the class it gets is more probable than its label


@dataclass(frozen=True)
class Verdict:
    """What a rule decides: masks by clip id, and the reasons."""

    prune: NDArray[np.bool_]
    restore: NDArray[np.bool_]
    correct: NDArray[np.bool_]
    label: NDArray[np.int16] | None = None  # what corrected clips become; None: what the evidence predicts
    grounds: Grounds | None = None  # None: what `Policy.grounds` says
    thresholds: dict[str, float] = field(default_factory=dict)
    spared: dict[str, int] = field(default_factory=dict)  # by guards
    transition: list[list[float]] | None = None  # P(given class | true class), where the policy estimates it

    @classmethod
    def nothing(cls, clips: int) -> Verdict:
        """Change nothing."""
        return cls(np.zeros(clips, np.bool_), np.zeros(clips, np.bool_), np.zeros(clips, np.bool_))


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A rule and its settings: frozen, checked, stored with the store. This base class records and changes nothing."""

    method: ClassVar[str]
    weighted: ClassVar[bool] = True  # whether s is w * p, or p alone
    averages: ClassVar[bool] = False  # whether a running average of p is kept for each clip
    grounds_shown: ClassVar[Mapping[str, str]] = {"quality": "score", "margin": "margin"}
    """What users see of the grounds: a field, and what it is called."""

    window: int = 3

    def __post_init__(self) -> None:
        whole_setting("window", self.window, 1, _LONGEST)

    def scalar(self, evidence: Evidence) -> Floats:
        """Return the score by which a clip is pruned."""
        return evidence.confidence

    @property
    def first_pull(self) -> float:
        """Return how strongly the loss pulls to the running averages in the first epoch."""
        return 0.0

    def grounds(self, evidence: Evidence, _states: ClipStates) -> Grounds:
        """Return what decisions are based on."""
        return Grounds(self.scalar(evidence), self.scalar(evidence), evidence.delta)

    def decide(self, _evidence: Evidence, states: ClipStates, _epoch: int) -> Verdict:
        """Return what to change; the epoch counts as ended."""
        return Verdict.nothing(len(states))

    def scores_pruned(self, _epoch: int) -> bool:
        """Return whether pruned clips are scored in an epoch."""
        return False

    def remarks(self) -> list[str]:
        """Return what a user should know about these settings."""
        return []


@dataclass(frozen=True, kw_only=True)
class Keep(Policy):
    """Record scores, change nothing."""

    method: ClassVar[str] = "keep"


@dataclass(frozen=True, kw_only=True)
class Sciu(Policy):
    """SCIU: prune by CGP, then correct by FGC.

    Example: `Sciu(prune_below=0.6, correct_above=None, warmup=5)` prunes only.
    """

    method: ClassVar[str] = "sciu"

    prune_below: Threshold = 0.7  #: lambda; "auto" follows the data, None prunes nothing
    correct_above: Threshold = 0.2  #: tau; "auto" follows the data, None corrects nothing
    window: int = 3  #: t, how many epochs in which a clip was scored a decision rests on
    warmup: int = 10  #: epochs that end before the first change, including the one whose decision makes it
    confidence: Literal["predicted", "label"] = "predicted"  #: whose score is CGP's scalar
    revive_every: int = 0  #: epochs between two scoring passes over pruned clips; 0: never
    keep_per_class: float = 0.5  #: share of each given class that is never pruned
    max_pruned: float = 0.6  #: share of all clips that may be pruned
    source: str = ""  #: where the numbers come from

    def __post_init__(self) -> None:
        super().__post_init__()
        _threshold("prune_below", self.prune_below)
        _threshold("correct_above", self.correct_above)
        whole_setting("warmup", self.warmup, 0)
        whole_setting("revive_every", self.revive_every, 0)
        share_setting("keep_per_class", self.keep_per_class)
        share_setting("max_pruned", self.max_pruned)
        if self.confidence not in ("predicted", "label"):
            raise PolicyError(f"`confidence` must be 'predicted' or 'label', but is {self.confidence!r}.")

    @classmethod
    def for_dataset(cls, name: str, **overrides: Any) -> Sciu:
        """Return the paper's thresholds for a dataset; MAFW's are not published."""
        if name not in _PRESETS:
            raise PolicyError(f"preset must be one of {list(_PRESETS)}, but is {name!r}. Give the thresholds yourself.")
        settings = {**_PRESETS[name], **overrides}
        if overrides.keys() & {"prune_below", "correct_above", "window"} and "source" not in overrides:
            settings.pop("source", None)
        return cls(**settings)

    def scalar(self, evidence: Evidence) -> Floats:
        """Return CGP's scalar."""
        return evidence.own if self.confidence == "label" else evidence.confidence

    def decide(self, evidence: Evidence, states: ClipStates, epoch: int) -> Verdict:
        """Prune, restore, then correct what has passed."""
        verdict = Verdict.nothing(len(states))
        if epoch < self.warmup:
            return verdict
        passed = states.training
        if self.prune_below is not None:
            verdict, passed = self._prune(evidence, states, scored_pruned=self.scores_pruned(epoch))
        if self.correct_above is not None:
            correct, tau = self._correct(evidence, states, passed)
            verdict = replace(verdict, correct=correct, thresholds={**verdict.thresholds, "correct_above": tau})
        return self._spared(verdict, evidence, states) if self.keep_per_class else verdict

    def _spared(self, verdict: Verdict, evidence: Evidence, states: ClipStates) -> Verdict:
        """Keep the labels of a tenth of a class that corrections would empty."""
        change = Relabelling(
            wanted=verdict.correct, sureness=evidence.delta, training=states.training & ~verdict.prune,
            given=states.given, before=states.label, after=evidence.predicted,
        )  # fmt: skip
        correct, spared = spare_classes(change, 0.0)
        return replace(verdict, correct=correct, spared=dict(Counter(verdict.spared) + Counter(spared)))

    def _prune(
        self, evidence: Evidence, states: ClipStates, *, scored_pruned: bool
    ) -> tuple[Verdict, NDArray[np.bool_]]:
        """Return what to prune and restore, and which clips have passed: a clip that a guard or a pin keeps has not."""
        scalar = self.scalar(evidence)
        judged = states.training & (evidence.scores >= self.window)
        away = states.ours & states.has(Status.PRUNED) & ~states.has(Status.QUARANTINED | PINS)
        back = away & (evidence.scores > 0) & scored_pruned
        limit = lambda_from_scores(scalar[judged | back]) if self.prune_below == "auto" else self.prune_below
        assert isinstance(limit, float | int)
        low = states.training & cgp.pruned(scalar, evidence.scores, self.window, limit)
        wanted = low & ~states.has(Status.PIN_KEEP | Status.PIN_LABEL)
        guarded = guard(wanted, scalar, states, keep_per_class=self.keep_per_class, max_pruned=self.max_pruned)
        restore = back & cgp.restored(scalar, evidence.scores, limit)
        nothing = np.zeros_like(restore)
        verdict = Verdict(
            guarded.prune, restore, nothing, thresholds={"prune_below": float(limit)}, spared=dict(guarded.spared)
        )
        return verdict, states.training & ~low

    def _correct(
        self, evidence: Evidence, states: ClipStates, passed: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], float]:
        tau = self.correct_above
        limit = tau_from_noise(evidence, states.label, passed, self.window) if tau == "auto" else tau
        assert isinstance(limit, float | int)
        free = passed & ~states.has(Status.PIN_LABEL)
        return free & fgc.corrected(evidence, states.label, self.window, limit), float(limit)

    def scores_pruned(self, epoch: int) -> bool:
        """Return whether pruned clips are scored in an epoch."""
        return self.revive_every > 0 and epoch % self.revive_every == 0 and epoch > self.warmup

    def remarks(self) -> list[str]:
        """Return what a user should know about these settings."""
        found = [self.source] if self.source else []
        limit, tau = self.prune_below, self.correct_above
        if not isinstance(limit, float | int) or not isinstance(tau, float | int):
            return found
        if self.confidence == "label" and limit >= 0.5:
            found.append(
                f"nothing can be corrected: a clip whose own label scores above prune_below {limit} has no class that"
                " scores more. Choose confidence='predicted', or prune_below under 0.5."
            )
        elif self.confidence == "predicted" and tau <= 2 * limit - 1:
            found.append(
                f"correct_above {tau} has no effect up to {2 * limit - 1:.2f}: what is predicted stably with a score"
                f" above {limit} beats every other class by more than that."
            )
        return found


_PRESETS: dict[str, dict[str, Any]] = {
    "ferv39k": {"prune_below": 0.7, "correct_above": 0.2, "window": 3},
    "dfew": {"prune_below": 0.6, "correct_above": 0.4, "window": 2},
    "mafw": {
        "prune_below": 0.6, "correct_above": 0.4, "window": 2,
        "source": "thresholds for MAFW are not published; these are DFEW's, chosen by us",
    },
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Scn(Policy):
    """SCN: relabel, from an epoch on, where another class is more probable by a margin. Nothing is pruned."""

    method: ClassVar[str] = "scn"
    weighted: ClassVar[bool] = False

    relabel_above: float = 0.2  #: how much more probable another class must be
    warmup: int = 10  #: epochs that end before the first change
    low_share: float = 1.0  #: 1: all clips, as SCN's code does; .3: those of lowest weight, as its paper says
    keep_per_class: float = 0.5  #: share of each given class that keeps its label
    window: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        share_setting("relabel_above", self.relabel_above)
        whole_setting("warmup", self.warmup, 0)
        share_setting("low_share", self.low_share)
        share_setting("keep_per_class", self.keep_per_class)
        if self.window != 1:
            raise PolicyError(f"`window` must be 1 for SCN, which uses one epoch, but is {self.window}.")

    def decide(self, evidence: Evidence, states: ClipStates, epoch: int) -> Verdict:
        """Relabel; `epoch` counts as ended."""
        nothing = Verdict.nothing(len(states))
        if epoch < self.warmup:
            return nothing
        chosen = scn.relabelled(evidence, states.label, states.training, self.relabel_above, self.low_share)
        chosen &= ~states.has(Status.PIN_LABEL)
        spared: dict[str, int] = {}
        if self.keep_per_class:
            change = Relabelling(
                wanted=chosen, sureness=evidence.delta, training=states.training,
                given=states.given, before=states.label, after=evidence.predicted,
            )  # fmt: skip
            chosen, spared = spare_classes(change, self.keep_per_class)
        return replace(nothing, correct=chosen, thresholds={"relabel_above": self.relabel_above}, spared=spared)


def _threshold(name: str, value: Threshold) -> None:
    if value is None or value == "auto":
        return
    share_setting(name, value)


def share_setting(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, float | int) or not 0 <= value <= 1:
        raise PolicyError(f"`{name}` must be between 0 and 1, but is {value!r}.")


def whole_setting(name: str, value: Any, least: int, most: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise PolicyError(f"`{name}` must be a whole number {limits}, but is {value!r}.")
