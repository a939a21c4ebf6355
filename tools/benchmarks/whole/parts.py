"""The parts of `all`: which bench with which options, on which clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sciu.pipeline.dataset.synth import Synth
from sciu.tools.benchmarks.whole.media import Media

Words = list[str]


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    recipe: Synth
    rounds: int
    seconds: float  # of a contestant of the feed, a round
    table: int  # clips of the datasets without media
    rows: int  # clips of the training that starts
    resnet: Words  # options of the larger network's step

    def options(self, **values: object) -> Words:
        """Return options of a command, and the rounds."""
        given = {"rounds": self.rounds, **values}
        return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]


FULL = Sizes(
    Synth(clips=320, frames=48, size=112, codec="jpeg"), rounds=3, seconds=2.0, table=1_000_000, rows=40_000,
    resnet=["--batch-size", "4", "--steps", "1"],
)  # fmt: skip
DRY = Sizes(
    Synth(clips=28, frames=12, size=40, codec="jpeg"), rounds=1, seconds=0.0, table=300, rows=60,
    resnet=["--batch-size", "2", "--steps", "1", "--size", "32", "--frames", "2"],
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A bench that is run."""

    bench: str
    what: str
    words: Callable[[Sizes, Media], Words]

    @property
    def title(self) -> str:
        """What it is called on the page."""
        return f"{self.bench}: {self.what}"


def _training(sizes: Sizes, media: Media) -> Words:
    return ["--data", str(media.frames), "--backbone", "tiny_lstm", "--size", "64", *sizes.options()]


PARTS = (
    Part("startup", "commands in cold processes",
         lambda s, m: ["--data", str(m.videos), "--backbone", "tiny_lstm", *s.options(clips=s.rows)]),
    Part("dataset", "a clip table without media", lambda s, _: s.options(clips=s.table)),
    Part("purify", "an epoch's decisions, without media",
         lambda s, _: ["--clips", str(s.table), "--epochs", str(s.rounds)]),
    Part("feed", "JPEG frames",
         lambda s, m: ["--data", str(m.frames), *s.options(size=96 if s is FULL else 32, seconds=s.seconds)]),
    Part("feed", "VP9 videos",
         lambda s, m: ["--data", str(m.videos), *s.options(size=96 if s is FULL else 32, seconds=s.seconds)]),
    Part("step", "tiny_lstm", lambda s, _: ["--backbone", "tiny_lstm", *s.options(steps=3)]),
    Part("step", "resnet18_lstm", lambda s, _: ["--backbone", "resnet18_lstm", *s.resnet, *s.options()]),
    Part("train", "tiny_lstm, JPEG frames", _training),
    Part("epochs", "with clips pruned", _training),
    Part("pause", "between epochs", lambda _, m: ["--data", str(m.frames), "--backbone", "tiny_lstm"]),
    Part("shared", "beside busy processes",
         lambda s, m: ["--data", str(m.frames), "--backbone", "tiny_lstm", "--frames", "1",
                       *s.options(seconds=s.seconds)]),
)  # fmt: skip
NAMES = tuple(dict.fromkeys(part.bench for part in PARTS))
