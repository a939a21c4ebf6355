"""What stages measure with: sizes, time, and rows that are on disk before the next one is measured."""

from __future__ import annotations

import gc
import json
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.errors import kind_and_line

if TYPE_CHECKING:
    import torch

    from sciu.pipeline.dataset import Dataset

Row = dict[str, Any]


class NotHereError(Exception):
    """A contestant cannot be measured here; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How large everything is."""

    clips: int  # of packed JPEG
    videos: int  # of each codec
    stored: int  # frames of a clip
    side: int  # of a JPEG frame as it is stored; videos have 160, for NVDEC takes nothing small
    classes: int
    backbones: tuple[str, ...]
    batches: tuple[int, ...]  # clips in a step
    short: int  # clips of a short batch
    frames: int  # taken of a clip
    size: int  # of a frame as the network gets it
    seconds: float  # of a contestant, at least
    rounds: int
    copied: int  # bytes
    product: int  # side of the matrices that are multiplied
    raced: int  # clips read under load
    whole_epochs: int  # from one to the next is measured
    short_epochs: int  # memory must not grow in them
    previews: int  # of pruned and corrected clips, an epoch
    learnt: int  # clips of the training that is killed
    learnt_epochs: int
    tests: tuple[str, ...]


FULL = Sizes(
    clips=2000, videos=96, stored=24, side=128, classes=7, backbones=("resnet18_lstm", "former_dfer"), batches=(32, 64),
    short=20, frames=16, size=112, seconds=2.0, rounds=5, copied=256 << 20, product=8192, raced=640, whole_epochs=4,
    short_epochs=20, previews=8, learnt=350, learnt_epochs=20, tests=("tests/pipeline", "tests/models", "tests/tools"),
)  # fmt: skip
DRY = Sizes(
    clips=12, videos=4, stored=8, side=40, classes=2, backbones=("tiny_lstm",), batches=(4,),
    short=3, frames=2, size=32, seconds=0.0, rounds=1, copied=1 << 20, product=128, raced=10, whole_epochs=2,
    short_epochs=2, previews=0, learnt=14, learnt_epochs=3, tests=("tests/pipeline/feed/files/test_nvdec.py",),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A stage that runs."""

    stage: str
    out: Path  # where the results go
    media: Path  # made for this run
    data: Path | None  # the user's dataset, in place of the made JPEG clips
    clips: int
    dry: bool

    @classmethod
    def of(cls, text: str) -> Bench:
        """Read what `text` wrote."""
        read = json.loads(text)
        data = Path(read["data"]) if read["data"] else None
        return cls(**{**read, "out": Path(read["out"]), "media": Path(read["media"]), "data": data})

    def text(self) -> str:
        """Return the stage as text for another process."""
        return json.dumps(asdict(self), default=str)

    @property
    def sizes(self) -> Sizes:
        """The sizes of this run."""
        return DRY if self.dry else FULL

    @cached_property
    def device(self) -> torch.device:
        """The device that is measured."""
        import torch

        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")

    @property
    def on_gpu(self) -> bool:
        """Whether there is a GPU."""
        return self.device.type == "cuda"

    @property
    def amp(self) -> str:
        """The precision to train in: bf16 takes a CPU twenty times as long."""
        return "auto" if self.on_gpu else "off"

    @property
    def best_cache(self) -> str:
        """Where clips are best cached."""
        return "gpu" if self.on_gpu else "cpu"

    def require_gpu(self, what: str) -> None:
        """Skip a contestant if there is no GPU."""
        if not self.on_gpu:
            raise NotHereError(f"{what} needs a GPU")

    def dataset(self, codec: str = "") -> Dataset:
        """Return the made clips of a codec; without a codec the clips to train on."""
        from sciu.pipeline.dataset import Dataset

        folder = self.media / codec if codec else self.data or self.media / "jpeg"
        if not folder.exists():
            raise NotHereError(f"no {codec or 'jpeg'} clips could be made")
        return Dataset.load(folder)

    def measure(self, name: str, run: Callable[[], Row]) -> None:
        """Run a contestant; its result or its error is a row."""
        self.tell(name, {"state": "begun"})
        began = time.perf_counter()
        try:
            row = run()
        except NotHereError as error:
            row = {"left_out": str(error)}
        except Exception as error:  # noqa: BLE001 - the others continue after any error
            traceback.print_exc()
            row = {"error": kind_and_line(error)}
        self.tell(name, {**row, "took": round(time.perf_counter() - began, 2)})
        _free_memory()

    def tell(self, name: str, row: Row) -> None:
        """Write a row in place of an older one of its name."""
        tell_stage(self.out, self.stage, {}, {name: row})


def results_file(out: Path) -> Path:
    """Return the file of a run's results; one process at a time writes to it."""
    return out / "results.json"


def read_results(out: Path) -> dict[str, Any]:
    """Return what has been measured so far."""
    found: dict[str, Any] = json.loads(results_file(out).read_text("utf-8"))
    return found


def write_results(out: Path, results: dict[str, Any]) -> None:
    """Replace the results."""
    text = json.dumps(results, indent=1, ensure_ascii=False, default=str)
    write_atomically(results_file(out), text.encode(), durable=False)


def tell_stage(out: Path, stage: str, facts: dict[str, Any], rows: dict[str, Row]) -> None:
    """Add to the results of a stage."""
    results = read_results(out)
    known = results["stages"].setdefault(stage, {"rows": {}})
    known.update(facts)
    known["rows"].update(rows)
    write_results(out, results)


def _free_memory() -> None:
    """Free memory before the next contestant."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
