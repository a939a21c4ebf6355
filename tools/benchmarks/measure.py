"""Measurements in turn, round after round, so that a drift of the machine's speed affects all contestants alike."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from sciu.pipeline.dataset.system.cores import cores
from sciu.tools.command import print_table

json_file = click.option("--json", "out", type=click.Path(path_type=Path), help="Write the measurements to this file.")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One contestant, measured."""

    name: str
    group: str  # ours, or what it is compared with
    seconds: float  # the median
    spread: float  # (largest - smallest) / median
    megabytes: float | None = None  # of memory, at most


def measure(contestants: dict[tuple[str, str], Callable[[], float]], rounds: int) -> list[Row]:
    """Run the contestants in turn, round after round; each returns its own seconds."""
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in contestants}
    for _ in range(rounds):
        for key, run in contestants.items():
            seconds[key].append(run())
    return [measured_row(name, group, times) for (name, group), times in seconds.items()]


def measured_row(name: str, group: str, times: list[float]) -> Row:
    """Return a contestant with its times in the rounds."""
    median, spread = median_and_spread(times)
    return Row(name=name, group=group, seconds=median, spread=spread)


def report(rows: list[Row], out: Path | None, **settings: Any) -> None:
    """Print the rows and the ratio of every other group's time to ours; write all of it as JSON if requested."""
    ours = next(row for row in rows if row.group == "ours")
    ratios = {f"{row.group}/ours": row.seconds / ours.seconds for row in rows if row.group != "ours"}
    table = [[row.name, row.group, f"{row.seconds:.3f}", f"{row.spread:.0%}"] for row in rows]
    print_table(["name", "group", "seconds", "spread"], table)
    for name, ratio in ratios.items():
        click.echo(f"{name}: {ratio:.3g}")
    for row in rows:
        if row.megabytes:
            click.echo(f"{row.name}: {row.megabytes:,.0f} MB at most")
    write_measured(out, settings, rows=[asdict(row) for row in rows], ratios=ratios)


def write_measured(out: Path | None, settings: dict[str, Any], **measured: Any) -> None:
    """Write the measurements, the machine and the settings as JSON if requested."""
    if out:
        out.write_text(json.dumps({"environment": environment(), "settings": settings, **measured}, indent=2) + "\n")


def median_and_spread(values: list[float]) -> tuple[float, float]:
    """Return the median, and (largest - smallest) / median."""
    median = statistics.median(values)
    return median, (max(values) - min(values)) / median


_PACKAGES = (
    "sciu", "numpy", "pyarrow", "av", "torch", "torchvision", "triton", "nvidia-dali-cuda120", "nvidia-dali-cuda130",
    "pillow", "simplejpeg", "webdataset", "decord", "torchcodec",
)  # fmt: skip


_INSTRUCTION_SETS = (
    "sse4_2", "avx", "f16c", "fma", "avx2", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "avx_vnni", "amx_bf16", "amx_int8", "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Return the machine and the versions that measurements depend on."""
    flags = set(_of_cpu("flags") or _of_cpu("Features"))
    return {
        "cpu": " ".join(_of_cpu("model name")) or platform.machine(),
        "instruction_sets": [name for name in _INSTRUCTION_SETS if name in flags],
        "cores": cores(),
        "memory_GB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "gpu": _gpu(),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "commit": _said_by("git", "-C", str(Path(__file__).resolve().parent), "describe", "--always", "--dirty"),
    }


def _of_cpu(name: str) -> list[str]:
    """Return the words that the kernel has for the first core."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].split() for line in lines if line.split(":")[0].strip() == name), [])


def _version(name: str) -> str | None:
    """Return a distribution's version; code that runs from a checkout has none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _gpu() -> dict[str, Any] | None:
    """Return the first GPU, its driver and the libraries that use it."""
    import torch

    if not torch.cuda.is_available():
        return None
    card = torch.cuda.get_device_properties(0)
    return {
        "name": card.name,
        "GB": round(card.total_memory / 1e9, 1),
        "multiprocessors": card.multi_processor_count,
        "compute": f"{card.major}.{card.minor}",
        "driver": _said_by("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0") or _driver(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def _driver() -> str | None:
    """Return what the kernel reports of the driver, for machines without nvidia-smi."""
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0] if path.exists() else None


def _said_by(*command: str) -> str | None:
    """Return what a program prints, None if it is not installed or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - our own
    except (OSError, subprocess.CalledProcessError):
        return None
