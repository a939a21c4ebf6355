"""SCIU and SCN written down clip by clip, as slow and as close to the equations as can be; nothing of ours is used."""

from __future__ import annotations

from dataclasses import dataclass, field

Score = tuple[float, list[float]]  # weight, probabilities


@dataclass
class Clip:
    label: int
    scores: list[Score] = field(default_factory=list)  # since it was last pruned
    pruned: bool = False


def argmax(values: list[float]) -> int:
    return values.index(max(values))


@dataclass
class LiteralSciu:
    lam: float | None
    tau: float | None
    t: int
    warmup: int
    revive_every: int
    clips: list[Clip]
    of_label: bool = False

    def listed(self, epoch: int) -> list[int]:
        revive = self.revive_every > 0 and epoch > self.warmup and epoch % self.revive_every == 0
        return [number for number, clip in enumerate(self.clips) if not clip.pruned or revive]

    def end_epoch(self, epoch: int, scores: dict[int, Score]) -> None:
        for number, score in scores.items():
            self.clips[number].scores.append(score)
        if epoch < self.warmup:
            return
        for clip in self.clips:
            self.judge(clip)

    def judge(self, clip: Clip) -> None:
        last = clip.scores[-self.t :]
        if clip.pruned:
            if self.lam is not None and last and self.big_s(last, clip.label) > self.lam:
                clip.pruned = False
            return
        if len(last) < self.t:
            return
        if self.lam is not None and not self.big_s(last, clip.label) > self.lam:  # Eq. 4
            clip.pruned, clip.scores = True, []
            return
        if self.tau is None:
            return
        predicted = {argmax(p) for _, p in last}
        if len(predicted) == 1:  # Eq. 8
            (k,) = predicted
            mean_predicted = sum(w * p[k] for w, p in last) / self.t  # Eq. 9
            mean_given = sum(w * p[clip.label] for w, p in last) / self.t  # Eq. 10
            if k != clip.label and mean_predicted - mean_given > self.tau:  # Eq. 11, 12
                clip.label = k  # Eq. 13

    def big_s(self, last: list[Score], label: int) -> float:
        """Eq. 2 and 3."""
        return sum(w * (p[label] if self.of_label else max(p)) for w, p in last) / len(last)
