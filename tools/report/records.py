"""What a report is made of: runs as plain records, read completely before anything is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sciu.pipeline.train.record.epoch_record import EpochRecord, SplitResult
    from sciu.pipeline.train.record.run_card import RunCard
    from sciu.pipeline.train.report.summary import Summary
    from sciu.purification.care.report import ClassCounts, ClipRow

Kind = Literal["pruned", "corrected", "people"]
KINDS: tuple[Kind, ...] = ("pruned", "corrected", "people")
"""Why a clip is shown: the policy pruned or corrected it, or people decided about it; both may be."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that happened to a clip, in a sentence."""

    epoch: int
    time: str
    what: str


@dataclass(frozen=True, kw_only=True)
class ByPeople:
    """What a person decided about a clip, and what the policy had proposed by then."""

    who: str
    time: str
    proposed: str
    decided: str


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A clip that was decided about, with its whole history."""

    kind: Kind
    row: ClipRow
    history: list[Change]
    people: ByPeople | None = None  # of the kind `people` only
    preview: bytes | None = None  # an animated WebP file


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How a number that decisions are based on is distributed over the clips, by what became of them."""

    name: str
    edges: list[float]  # of the bins, one more than counts
    counts: dict[str, list[int]]
    limits: dict[str, float]  # thresholds of the last decision, by name


@dataclass(frozen=True, kw_only=True)
class Intervention:
    """What changed clips other than the policy: a person, or files that cannot be read."""

    epoch: int
    what: str
    who: str
    why: str
    clips: int


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What a run's purifier decided."""

    epoch: int  # that is open
    counts: dict[str, int]
    classes: list[ClassCounts]
    pairs: list[tuple[str, str, int]]  # given class, class now, clips; the most frequent first
    measures: list[Measure]
    clips: list[Clip]  # those that are shown, fairly by class pair
    spared: list[tuple[int, str, int]]  # epoch, class or `all`, clips that a guard kept
    interventions: list[Intervention]
    remarks: list[str]
    faults: dict[str, int] = field(default_factory=dict)  # why clips are in the dataset's quarantine
    media: str = ""  # the folder of the media; empty: the dataset was not found

    def count(self, kind: Kind) -> int:
        """Return how many clips were decided about, shown or not."""
        return self.counts[kind]

    @property
    def previews(self) -> int:
        """How many clips have a preview."""
        return sum(clip.preview is not None for clip in self.clips)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """A run."""

    folder: Path
    name: str  # by which the report tells it from the others
    card: RunCard
    summary: Summary | None  # None: no epoch has ended
    history: list[EpochRecord]
    decisions: Decisions

    @property
    def epochs_done(self) -> int:
        """How many epochs have ended."""
        return self.history[-1].epoch if self.history else 0

    @property
    def is_plain(self) -> bool:
        """Whether it is what others are compared with: it cleans nothing."""
        return self.card.settings.method == "plain"

    @property
    def evaluations(self) -> list[tuple[int, str, SplitResult]]:
        """Epoch, split and result of each evaluation: on the test clips if there are any, else on validation clips."""
        split = "test" if any(record.test for record in self.history) else "validation"
        return [(each.epoch, split, each.evaluated[split]) for each in self.history if split in each.evaluated]
