"""What the running averages say: the likeliest class of every clip, and how the labels of the dataset go wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sciu.purification.clip_state import ClipStates, Status
from sciu.purification.rules.policy import Grounds
from sciu.purification.store.evidence import Floats

_SHRINKAGE = 20.0  # clips that a row of the transition matrix starts with
_FEWEST = 5  # clips from which a class's usual confidence is estimated
_USUAL = 0.6  # that confidence with fewer
_MOST_NOISE = 0.8
_SUREST, _SURER = 0.1, 0.5  # shares of the clips that are predicted as a class
_FEWEST_OF_A_CLASS = 20  # clips predicted as it, from which their surest tenth is informative
_NEXT_TO_NONE = 0.02  # share of contradicted labels
_DOUBTED_FROM = 0.1  # share of labels from which contradictions are judged: an untrained network is even, too
_LEARNT = 0.25  # of the best recall of any class: labels of a class below it are contradicted whatever they are. With
# them 1,000 pictures with judged labels, of which two classes in seven were learnt, seemed noisy
_DOUBTED = 0.2  # by how much some class is more probable than a doubted label: the difference in a .6 to .4 mixture
_RARE = 0.02  # share of the clips below which a class's standing is chance, or half of an even share if that is less
_TINY = np.float32(1e-6)

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Opinion:
    """By clip id, except where noted."""

    given: NDArray[np.int16]
    known: NDArray[np.bool_]  # clips of the training set that were scored at all
    predicted: NDArray[np.int16]  # the likeliest class by the scores alone
    likely_KN: Values  # running averages that sum to 1
    transition_KK: NDArray[np.float64]  # P(given label | true class): rows true, columns given
    wrong: float  # share of wrong labels, at least
    agreement: float  # how well the likeliest classes name the given labels: 0 is guessing, 1 is all of them
    doubted: float  # share of the usable clips of learnt classes whose average contradicts their present label
    evenness: float  # of contradictions over sureness: 0 if only unsure predictions contradict, 1 for pure noise
    standing_K: NDArray[np.float64]  # of a class: its mass in the averages over its share of the present labels
    best: NDArray[np.int16]  # class of the highest posterior
    posterior: Floats  # of that class
    information: Floats  # distance of `likely` from the classes' shares, 0 to 1

    @classmethod
    def of(cls, running_KN: NDArray[np.float16], states: ClipStates) -> Opinion:
        """Compare the averages of all clips with their given labels."""
        average_KN = running_KN.astype(np.float32)
        sums = average_KN.sum(axis=0)
        known = states.ours & (sums > 0) & ~states.has(Status.QUARANTINED | Status.PIN_DROP)
        usable = known & ~states.has(Status.PRUNED)
        given, label = np.maximum(states.given, 0), np.maximum(states.label, 0)
        likely_KN = (average_KN + _TINY) / (sums + len(average_KN) * _TINY)
        predicted, highest = _highest(likely_KN)
        behind = (likely_KN[label, np.arange(len(label))] - highest) * sums
        transition, wrong = _transition(predicted[known], highest[known], given[known], len(likely_KN))
        recall_K = _recall(predicted[usable], given[usable], len(likely_KN))
        of_learnt = usable & (recall_K >= _LEARNT * np.nanmax(recall_K, initial=0.0))[given]
        posterior_KN = likely_KN * transition.astype(np.float32)[:, given]
        best, posterior = _highest(posterior_KN)
        posterior /= posterior_KN.sum(axis=0)
        return cls(
            given=states.given, known=known, predicted=predicted, likely_KN=likely_KN,
            transition_KK=transition, wrong=wrong,
            agreement=_agreement(recall_K),
            doubted=_share(behind[of_learnt] < -_DOUBTED),
            evenness=_evenness(predicted[usable], highest[usable], given[usable], len(likely_KN)),
            standing_K=_standing(average_KN, label, usable),
            best=best, posterior=posterior.astype(np.float64),
            information=_information(likely_KN, known),
        )  # fmt: skip

    @property
    def lowest_standing(self) -> float:
        """Return the standing of the class that fades most; 1 at most."""
        return float(min(1.0, self.standing_K.min()))

    @property
    def contradicts(self) -> bool:
        """Whether enough labels are doubted, so that it can be told whether they are noise or those of hard clips."""
        return self.doubted >= _DOUBTED_FROM

    @property
    def agreeing(self) -> NDArray[np.bool_]:
        """Mask of the clips whose scores agree with the given label."""
        return self.known & (self.predicted == self.given)

    @property
    def grounds(self) -> Grounds:
        """Return what decisions are based on."""
        clips = np.arange(len(self.given))
        margin = self.likely_KN[self.best, clips] - self.likely_KN[np.maximum(self.given, 0), clips]
        return Grounds(self.information, self.posterior, margin.astype(np.float64))


def _highest(values_KN: Values) -> tuple[NDArray[np.int16], Values]:
    """Return the class of the highest value, the first among equals, and the value: in a quarter of argmax's time."""
    highest, top = values_KN[0].copy(), np.zeros(values_KN.shape[1], np.int16)
    for k in range(1, len(values_KN)):
        top[values_KN[k] > highest] = k
        np.maximum(highest, values_KN[k], out=highest)
    return top, highest


def _evenness(predicted: NDArray[np.int16], highest: Values, given: NDArray[np.int16], classes: int) -> float:
    """Divide the share of contradicted labels among the surest clips of each class by that among the surer half.

    Hard clips contradict right labels where the network is unsure, and less so the more it learns. Wrong labels are
    contradicted however sure it is. After twelve epochs the two shares were .06 and .18 on pictures with judged labels,
    .22 and .33 on the same with their original labels, .14 and .22 on faces of which a fifth was mislabelled.
    """
    contradicted, clips = np.zeros(2), np.zeros(2)
    for k in range(classes):
        taken = predicted == k
        if taken.sum() < _FEWEST_OF_A_CLASS:
            continue
        sureness, wrong = highest[taken], given[taken] != k
        for place, share in enumerate((_SUREST, _SURER)):
            sure = sureness >= np.quantile(sureness, 1 - share)
            contradicted[place] += (wrong & sure).sum()
            clips[place] += sure.sum()
    surest, surer = contradicted / np.maximum(clips, 1)
    return float(min(1.0, surest / surer)) if surer > _NEXT_TO_NONE else 0.0


def _recall(predicted: NDArray[np.int16], given: NDArray[np.int16], classes: int) -> NDArray[np.float64]:
    """Return the share of each given class that is predicted as it; NaN for a class without clips."""
    clips_K = np.bincount(given, minlength=classes)
    right_K = np.bincount(given[predicted == given], minlength=classes)
    return np.divide(right_K, clips_K, out=np.full(classes, np.nan), where=clips_K > 0)


def _agreement(recall_K: NDArray[np.float64]) -> float:
    """Return the mean recall of the classes that have clips, less that of any guessing: one over their number."""
    there_K = recall_K[~np.isnan(recall_K)]
    if len(there_K) < 2:
        return 0.0
    guessing = 1 / len(there_K)
    return float(max(0.0, there_K.mean() - guessing) / (1 - guessing))


def _share(mask: NDArray[np.bool_]) -> float:
    return float(mask.mean()) if len(mask) else 0.0


def _standing(average_KN: Values, label: NDArray[np.int16], usable: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return each class's mass in the averages over its share of the labels; 1 where a class is too rare for that."""
    clips_K = np.bincount(label[usable], minlength=len(average_KN))
    mass_K = np.array([row[usable].sum(dtype=np.float64) for row in average_KN])
    shares_K, masses_K = clips_K / max(clips_K.sum(), 1), mass_K / max(mass_K.sum(), 1e-6)
    rare = min(_RARE, 0.5 / len(average_KN))
    return np.where(shares_K >= rare, masses_K / np.maximum(shares_K, rare), 1.0)


def _transition(
    predicted: NDArray[np.int16], highest: Values, given: NDArray[np.int16], classes: int
) -> tuple[NDArray[np.float64], float]:
    """Estimate P(given | true) by counting confident clips, shrunk towards evenly wrong labels.

    A clip counts for its likeliest class if that is at least as probable as on average among the clips that are
    labelled and predicted as it. The share of wrong labels is the lower bound of two standard deviations.
    """
    agreeing = predicted == given
    clips_K = np.bincount(predicted[agreeing], minlength=classes)
    sums_K = np.bincount(predicted[agreeing], highest[agreeing], minlength=classes)
    usual_K = np.where(clips_K >= _FEWEST, sums_K / np.maximum(clips_K, 1), _USUAL)
    confident = highest >= usual_K[predicted]
    pairs = predicted[confident].astype(np.int64) * classes + given[confident]
    counts = np.bincount(pairs, minlength=classes * classes).reshape(classes, classes).astype(np.float64)
    total = max(float(counts.sum()), 1.0)
    wrong = 1 - float(np.trace(counts)) / total
    wrong = min(max(wrong - 2 * np.sqrt(wrong * (1 - wrong) / total), 0.0), _MOST_NOISE)
    prior = np.full((classes, classes), wrong / (classes - 1))
    np.fill_diagonal(prior, 1 - wrong)
    shrunk = (counts + _SHRINKAGE * prior) / (counts.sum(axis=1, keepdims=True) + _SHRINKAGE)
    return shrunk, float(wrong)


def _information(likely_KN: Values, known: NDArray[np.bool_]) -> Floats:
    """Return how far each clip's probabilities are from the classes' shares (Kullback-Leibler over log K)."""
    if not known.any():
        return np.zeros(likely_KN.shape[1])
    shares_K = likely_KN[:, known].mean(axis=1)
    distance = -np.log(shares_K) @ likely_KN
    for row in likely_KN:
        distance += row * np.log(row)
    return np.clip(distance.astype(np.float64) / np.log(len(shares_K)), 0, 1)
