"""What is decided after an epoch, and by which rule: SCIU, SCN, or nothing at all."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sciu.purification import cgp, fgc, scn
from sciu.purification.errors import PolicyError
from sciu.purification.evidence import Evidence
from sciu.purification.guards import guard
from sciu.purification.state import PINS, ClipStates, Status
from sciu.purification.thresholds import lambda_from_scores, tau_from_noise

Threshold = float | Literal["auto"] | None
_LONGEST = 32  # scores whose sum is exact in a double; `evidence.py`


@dataclass(frozen=True)
class Verdict:
    """What a rule wants: masks by clip id, and how it came to them."""

    prune: NDArray[np.bool_]
    restore: NDArray[np.bool_]
    correct: NDArray[np.bool_]  # to the class that the evidence predicts
    thresholds: dict[str, float] = field(default_factory=dict)
    spared: dict[str, int] = field(default_factory=dict)  # by guards

    @classmethod
    def nothing(cls, clips: int) -> Verdict:
        """Change nothing."""
        return cls(np.zeros(clips, np.bool_), np.zeros(clips, np.bool_), np.zeros(clips, np.bool_))


@dataclass(frozen=True, kw_only=True)
class Keep:
    """Record, never change anything."""

    method: ClassVar[str] = "keep"
    weighted: ClassVar[bool] = True

    window: int = 3

    def __post_init__(self) -> None:
        _whole("window", self.window, 1, _LONGEST)

    def decide(self, evidence: Evidence, states: ClipStates, epoch: int) -> Verdict:  # noqa: ARG002 - the rules' face
        """Decide nothing."""
        return Verdict.nothing(len(states))

    def scores_pruned(self, epoch: int) -> bool:  # noqa: ARG002 - the rules' face
        """Say whether pruned clips are scored in an epoch."""
        return False

    def remarks(self) -> list[str]:
        """Say what a user should know of these settings."""
        return []


@dataclass(frozen=True, kw_only=True)
class Sciu(Keep):
    """SCIU: prune by CGP, then correct by FGC. None switches a stage off; "auto" follows the data."""

    method: ClassVar[str] = "sciu"

    prune_below: Threshold = 0.7  # lambda
    correct_above: Threshold = 0.2  # tau
    window: int = 3  # t
    warmup: int = 10  # epochs that end before the first decision can change anything, that decision's own included
    confidence: Literal["predicted", "label"] = "predicted"  # whose score is CGP's scalar
    revive_every: int = 0  # epochs between two scoring passes over pruned clips; 0: never
    keep_per_class: float = 0.5
    max_pruned: float = 0.6
    source: str = ""  # where the numbers come from

    def __post_init__(self) -> None:
        super().__post_init__()
        _threshold("prune_below", self.prune_below)
        _threshold("correct_above", self.correct_above)
        _whole("warmup", self.warmup, 0)
        _whole("revive_every", self.revive_every, 0)
        _share("keep_per_class", self.keep_per_class)
        _share("max_pruned", self.max_pruned)
        if self.confidence not in ("predicted", "label"):
            raise PolicyError(f"`confidence` must be 'predicted' or 'label', but is {self.confidence!r}.")

    @classmethod
    def for_dataset(cls, name: str, **overrides: Any) -> Sciu:
        """Return the paper's thresholds for a dataset; MAFW's are not published."""
        if name not in _PRESETS:
            raise PolicyError(f"preset must be one of {list(_PRESETS)}, but is {name!r}. Give the thresholds yourself.")
        return cls(**{**_PRESETS[name], **overrides})

    def decide(self, evidence: Evidence, states: ClipStates, epoch: int) -> Verdict:
        """Prune, restore and correct; `epoch` counts as ended."""
        if epoch < self.warmup:
            return Verdict.nothing(len(states))
        thresholds: dict[str, float] = {}
        scalar = evidence.own if self.confidence == "label" else evidence.confidence
        prune, restore = (np.zeros(len(states), np.bool_) for _ in range(2))
        spared: dict[str, int] = {}
        passed = states.training
        if self.prune_below is not None:
            judged = states.training & (evidence.scores >= self.window)
            limit = lambda_from_scores(scalar[judged]) if self.prune_below == "auto" else self.prune_below
            thresholds["prune_below"] = limit
            wish = states.training & cgp.pruned(scalar, evidence.scores, self.window, limit)
            passed = passed & ~wish
            wish &= ~states.has(Status.PIN_KEEP | Status.PIN_LABEL)
            guarded = guard(
                wish, scalar, states, keep_per_class=self.keep_per_class, max_pruned=self.max_pruned
            )  # fmt: skip
            prune, spared = guarded.prune, dict(guarded.spared)
            back = states.ours & states.has(Status.PRUNED) & ~states.has(Status.QUARANTINED | PINS)
            restore = back & cgp.restored(scalar, evidence.scores, limit)
        correct = np.zeros_like(prune)
        if self.correct_above is not None:
            tau = self.correct_above
            tau = tau_from_noise(evidence, states.label, passed, self.window) if tau == "auto" else tau
            thresholds["correct_above"] = tau
            correct = passed & fgc.corrected(evidence, states.label, self.window, tau)
            correct &= ~states.has(Status.PIN_LABEL)
        return Verdict(prune, restore, correct, thresholds, spared)

    def scores_pruned(self, epoch: int) -> bool:
        """Say whether pruned clips are scored in an epoch."""
        return self.revive_every > 0 and epoch % self.revive_every == 0 and epoch > self.warmup

    def remarks(self) -> list[str]:
        """Say what a user should know of these settings."""
        found = [self.source] if self.source else []
        if isinstance(self.prune_below, float | int) and isinstance(self.correct_above, float | int):
            least = 2 * self.prune_below - 1
            if self.correct_above < least:
                found.append(
                    f"correct_above {self.correct_above} has no effect below {least:.2f}: what is predicted stably"
                    f" with a score above {self.prune_below} beats every other class by more than that."
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
class Scn(Keep):
    """SCN: relabel, from an epoch on, where another class is more probable by a margin. Nothing is pruned."""

    method: ClassVar[str] = "scn"
    weighted: ClassVar[bool] = False

    relabel_above: float = 0.2
    warmup: int = 10
    low_share: float = 1.0  # 1: all clips, as SCN's code does; .3: those of lowest weight, as its paper says
    window: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        _share("relabel_above", self.relabel_above)
        _whole("warmup", self.warmup, 0)
        _share("low_share", self.low_share)
        if self.window != 1:
            raise PolicyError(f"`window` must be 1 for SCN, which looks at one epoch, but is {self.window}.")

    def decide(self, evidence: Evidence, states: ClipStates, epoch: int) -> Verdict:
        """Relabel; `epoch` counts as ended."""
        nothing = Verdict.nothing(len(states))
        if epoch < self.warmup:
            return nothing
        free = states.training & ~states.has(Status.PIN_LABEL)
        chosen = scn.relabelled(evidence, states.label, free, self.relabel_above, self.low_share)
        return Verdict(nothing.prune, nothing.restore, chosen, {"relabel_above": self.relabel_above})


Policy = Keep  # all rules are kinds of it
_METHODS: dict[str, type[Keep]] = {rule.method: rule for rule in (Keep, Sciu, Scn)}


def policy_to_json(policy: Policy) -> dict[str, Any]:
    """Return what `policy_from_json` takes."""
    return {"method": policy.method, **asdict(policy)}


def policy_from_json(content: dict[str, Any]) -> Policy:
    """Build a policy again, checks included."""
    rule = _METHODS[content["method"]]
    known = {field.name for field in fields(rule)}
    return rule(**{name: value for name, value in content.items() if name in known})


def _threshold(name: str, value: Threshold) -> None:
    if value is None or value == "auto":
        return
    _share(name, value)


def _share(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, float | int) or not 0 <= value <= 1:
        raise PolicyError(f"`{name}` must be between 0 and 1, but is {value!r}.")


def _whole(name: str, value: Any, least: int, most: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        limits = f"at least {least}" if most is None else f"from {least} to {most}"
        raise PolicyError(f"`{name}` must be a whole number {limits}, but is {value!r}.")
