"""Small runs of `sciu-train`, in this process or in others, and what they leave compared."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from helpers import Answer
from torch import Tensor

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.errors import TrainError
from sciu.pipeline.train.job.ranks import joined

Sciu = Callable[..., Answer]
COMPATIBILITY = Path(__file__).parent / "compatibility"
SMALL = ["--preset", "demo", "--size", "32", "--frames", "8", "--batch-size", "8"]
QUICK = ["--method", "sciu", "--set", "lr_warmup=1", "--set", "warmup=1", "--set", "window=1"]
NOT_COMPARED = {
    "seconds", "waiting", "clips_per_second", "decoded", "cached", "frames", "files", "reading", "decoding",
    "rendering", "evaluating", "saving", "purifying", "reporting",
}  # fmt: skip


def stopped_run(folder: Path, method: str = "sciu") -> tuple[Path, Path]:
    """A dataset and a run that was stopped in the middle of its fourth epoch, of six; call from inside the folder."""
    with tarfile.open(next(COMPATIBILITY.glob("*.tar.xz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "faces", folder / method


def train(sciu: Sciu, data: Dataset | Path, out: Path, *more: object) -> Answer:
    """Train for a few small epochs, in this process."""
    folder = data.folder if isinstance(data, Dataset) else data
    return sciu("train", folder, "--out", out, *SMALL, *QUICK, "--epochs", 2, *more)


def start(data: Path, out: Path, *more: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Start a training of a few small epochs, in a process of its own."""
    command = [sys.executable, *launcher, "-m", "sciu.tools.train", str(data), "--out", str(out)]
    return subprocess.Popen(
        [*command, *SMALL, *QUICK, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 60.0) -> None:
    """Wait until a process has made a file."""
    until = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def indexes(run: Path) -> dict[str, bytes]:
    """All published index files."""
    return {path.name: path.read_bytes() for path in sorted((run / "index").iterdir())}


def tensors(run: Path, name: str = "last") -> dict[str, Tensor]:
    """Weights, average and optimiser of a checkpoint."""
    content = torch.load(run / "checkpoints" / f"{name}.pt", weights_only=True)
    groups = ("model", "average", "optimiser", "board")
    return {f"{group}.{key}": value for group in groups for key, value in content[group].items()}


def log(run: Path) -> list[dict[str, Any]]:
    """The records of the epochs, less what depends on the clock or on what a killed process had cached."""
    lines = (run / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in NOT_COMPARED} for line in lines]


def same_tensors(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """The same bits."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def talk_as_a_rank(rank: int, folder: str, port: int) -> None:
    """Call everything that ranks have for each other, as one of three; what comes of it goes into a file."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    with joined(torch.device("cpu")) as ranks:
        tensors = [torch.tensor([float(rank)]), torch.tensor([[1.0, 2.0]])]
        ranks.sum_all(tensors)
        ranks.sum_all([])
        mean, shared = torch.tensor([3.0 * rank]), torch.tensor([rank + 7])
        ranks.mean_all([mean])
        ranks.share([shared])
        found: list[Any] = [[tensor.tolist() for tensor in tensors], mean.item(), shared.item()]
        found += [ranks.gather(rank), ranks.broadcast(rank), ranks.any(rank == 2), ranks.any(False)]
        found += [ranks.totals({"clips": rank}), ranks.here]
        large, empty = np.full((7, 30_000), rank + 1.5, np.float32), np.zeros(0, np.int64)
        gathered = ranks.gather([(large.T, empty), "small"]) or []
        found.append([(one.shape, float(one.min()), float(one.max()), len(none)) for (one, none), _ in gathered])
        sent = ranks.broadcast({"large": large, "some": large[0, :3]})
        sent["large"] += 1  # arrays that came are one's own, and can be written to
        found.append([sent["large"].shape, float(sent["large"].min()), sent["some"].tolist()])
        try:
            ranks.from_first(lambda: dict[str, int]()["lost"])
        except KeyError as error:
            found.append(f"KeyError: {error}")
        except TrainError as error:
            found.append(str(error).removeprefix("rank 0: "))
    Path(folder, str(rank)).write_text(repr(found))
