"""ELR pulls the network towards its earlier predictions of a clip; `auto` sets how strongly, and decides by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import PINS, ClipStates, Status
from sciu.purification.errors import PolicyError
from sciu.purification.rules.auto.opinion import Opinion
from sciu.purification.rules.auto.unusable import unusable_below
from sciu.purification.rules.guards import Relabelling, guard, spare_shrinking
from sciu.purification.rules.policy import Grounds, Policy, Verdict, share_setting, whole_setting
from sciu.purification.store.evidence import Evidence

Mask = NDArray[np.bool_]

_MOST_PULL = 1000.0
_NOISE = 0.55  # mean evenness over about three epochs from which contradictions are noise
_LASTING = 3.0  # epochs in a row that doubt enough labels to judge; what was found to be noise then stays it
_FALLEN, _RISEN = 0.5, 0.75  # of the best agreement: below it a network has diverged, from there on it has recovered
_GUESSING = 0.1  # agreement below which nothing is learnt: four fifths of wrong labels leave twice as much
_STANDING = 0.85  # of every class, below which the pull is weakened
_STILL_RIGHT = 0.5  # posterior down to which a correction is kept
_OF_A_CLASS = 0.85  # of a class's given clips that train: corrections leave it no fewer


@dataclass(frozen=True, kw_only=True)
class Elr(Policy):
    """Early-learning regularisation: a running average for each clip, and a pull to it. Nothing is decided."""

    method: ClassVar[str] = "elr"
    averages: ClassVar[bool] = True

    pull: float = 3.0  #: how strongly the loss pulls a clip to its average

    def __post_init__(self) -> None:
        super().__post_init__()
        _pull(self.pull)

    @property
    def first_pull(self) -> float:
        """Return how strongly the loss pulls in the first epoch."""
        return self.pull

    def decide(self, _evidence: Evidence, states: ClipStates, _epoch: int) -> Verdict:
        """Change nothing; keep the pull."""
        return replace(Verdict.nothing(len(states)), thresholds={"pull": self.pull})


@dataclass(frozen=True, kw_only=True)
class Auto(Policy):
    """Prune clips that stay unusable; with noise, pull, and correct labels that are surely wrong. Needs no threshold.

    Every epoch decides again from the running averages and the dataset's labels, so that a correction that is no
    longer supported is undone. While the network guesses, or has diverged, nothing is decided.
    """

    method: ClassVar[str] = "auto"
    averages: ClassVar[bool] = True
    grounds_shown: ClassVar[Mapping[str, str]] = {
        "quality": "information", "sureness": "posterior", "margin": "margin",
    }  # fmt: skip

    act_after: int = 10  #: epochs that end before a clip is pruned or a label corrected
    pull: float = 3.0  #: how strongly the loss pulls, where there is noise and no class fades
    sure: float = 0.9  #: posterior from which a label is corrected
    revive_every: int = 0  #: epochs between two scoring passes over pruned clips; 0: never
    keep_per_class: float = 0.5  #: share of each given class that is never pruned
    max_pruned: float = 0.6  #: share of all clips that may be pruned

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("act_after", "revive_every"):
            whole_setting(name, getattr(self, name), 0)
        for name in ("sure", "keep_per_class", "max_pruned"):
            share_setting(name, getattr(self, name))
        _pull(self.pull)
        if self.sure <= 0.5:
            raise PolicyError(f"`sure` must be above 0.5, so that no other class is as likely, but is {self.sure!r}.")

    @classmethod
    def for_epochs(cls, epochs: int, **settings: Any) -> Auto:
        """Return the policy for a training of so many epochs: it acts after a fifth of them."""
        return cls(act_after=-(-epochs // 5), **settings)

    def grounds(self, evidence: Evidence, states: ClipStates) -> Grounds:
        """Return how informative clips are, how sure their class is, and the margin of that class in the averages."""
        return _opinion(evidence, states).grounds

    def decide(self, evidence: Evidence, states: ClipStates, epoch: int) -> Verdict:
        """Set the pull; prune, restore and correct from epoch `act_after` on."""
        opinion, judged = _opinion(evidence, states), evidence.scores >= self.window
        knows, best = _knows(opinion, evidence.before), evidence.before.get("best_agreement", 0.0)
        noise, evenness = _noise(opinion, evidence.before, knows=knows)
        is_noisy = noise >= _LASTING
        verdict = replace(
            Verdict.nothing(len(states)), grounds=opinion.grounds,
            thresholds={
                "pull": self._pull_for(opinion) if is_noisy else 0.0, "noise": noise,
                "doubted": opinion.doubted, "evenness": evenness,
                "lowest_standing": opinion.lowest_standing, "wrong_labels": opinion.wrong,
                "agreement": opinion.agreement, "best_agreement": max(opinion.agreement, best), "knows": float(knows),
            },
            transition=np.round(opinion.transition_KK, 4).tolist(),
        )  # fmt: skip
        acts = epoch >= self.act_after and knows
        if acts:
            scored = evidence.scores > 0
            verdict = self._prune(verdict, opinion, states, judged, scored, scored_pruned=self.scores_pruned(epoch))
        if acts and is_noisy:
            verdict = self._correct(verdict, opinion, states, judged)
        return verdict

    def _pull_for(self, opinion: Opinion) -> float:
        """Return how strongly to pull: less where a class fades.

        A pull to the network's predictions reinforces them: a class that it is unsure of would be lost.
        """
        return self.pull * min(1.0, opinion.lowest_standing / _STANDING) ** 2

    def _prune(
        self, verdict: Verdict, opinion: Opinion, states: ClipStates, judged: Mask, scored: Mask, *, scored_pruned: bool
    ) -> Verdict:
        """Prune clips with almost no information, if there are enough of them to be a kind."""
        limit, usual = unusable_below(opinion, found_before=bool(states.has(Status.PRUNED).any()))
        low = opinion.known & (opinion.information < limit)
        wanted = low & judged & states.training & ~states.has(Status.PIN_KEEP | Status.PIN_LABEL)
        guarded = guard(
            wanted, opinion.information, states, keep_per_class=self.keep_per_class, max_pruned=self.max_pruned
        )
        away = states.ours & states.has(Status.PRUNED) & ~states.has(Status.QUARANTINED | PINS)
        return replace(
            verdict, prune=guarded.prune, restore=away & scored & ~low & scored_pruned, spared=dict(guarded.spared),
            thresholds={**verdict.thresholds, "prune_below": limit, "usual_information": usual},
        )  # fmt: skip

    def _correct(self, verdict: Verdict, opinion: Opinion, states: ClipStates, judged: Mask) -> Verdict:
        """Give clips with surely wrong labels their likeliest class, and all others their given label.

        A correction is kept as long as it is likelier than not, so that none alternates.
        """
        staying = states.training & ~verdict.prune
        free = staying & judged & ~states.has(Status.PIN_LABEL)
        needed = np.where(states.label == opinion.best, _STILL_RIGHT, self.sure)
        sure = free & (opinion.posterior >= needed) & (opinion.best != states.given)
        change = Relabelling(
            wanted=sure, sureness=opinion.posterior, training=staying,
            given=states.given, before=np.where(free, states.given, states.label), after=opinion.best,
        )  # fmt: skip
        believed, spared = spare_shrinking(change, _OF_A_CLASS)
        label = np.where(believed, opinion.best, states.given)
        return replace(
            verdict, correct=free & (label != states.label), label=label,
            thresholds={**verdict.thresholds, "correct_above": self.sure},
            spared=dict(Counter(verdict.spared) + Counter(spared)),
        )  # fmt: skip

    def scores_pruned(self, epoch: int) -> bool:
        """Return whether pruned clips are scored in an epoch."""
        return self.revive_every > 0 and epoch % self.revive_every == 0 and epoch > self.act_after


def _knows(opinion: Opinion, before: Mapping[str, float]) -> bool:
    """Return whether the network has learnt something, and has not lost it since.

    A Transformer at too high a rate fell from .4 to guessing within six epochs and came back to .26 in thirty; half of
    the labels that it corrected were right. In 38 trainings that went well no epoch fell below .95 of the best before.
    The given labels are what is compared with, because corrections and their undoing would move any others.
    """
    least = _FALLEN if before.get("knows", 1.0) else _RISEN
    return opinion.agreement >= max(_GUESSING, least * before.get("best_agreement", 0.0))


def _noise(opinion: Opinion, before: Mapping[str, float], *, knows: bool) -> tuple[float, float]:
    """Return for how many epochs in a row labels have been judged, `_LASTING` once they are noisy, and their evenness.

    Of a few hundred clips an epoch's evenness is a coarse estimate (from .42 to .65 within four epochs of 910 clips, a
    fifth of them mislabelled), hence the average. To random predictions all labels seem random.
    """
    judged, mean = before.get("noise", 0.0), before.get("evenness", 0.0)
    judges = knows and opinion.contradicts
    evenness = mean + (opinion.evenness - mean) / min(judged + 1, _LASTING) if judges else opinion.evenness
    if judged >= _LASTING or (judges and judged >= _LASTING - 1 and evenness >= _NOISE):
        return _LASTING, evenness
    return (min(judged + 1, _LASTING - 1) if judges else 0.0), evenness


def _opinion(evidence: Evidence, states: ClipStates) -> Opinion:
    assert evidence.running_KN is not None  # `averages`
    return Opinion.of(evidence.running_KN, states)


def _pull(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, float | int) or not 0 <= value <= _MOST_PULL:
        raise PolicyError(f"`pull` must be from 0 to {_MOST_PULL:g}, but is {value!r}.")
