"""How many cores this process may use: the machine's, less what an affinity mask or a container's limit takes away."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")


def cores() -> int:
    """Return the number of cores that this process may use: by taskset or SLURM, and by the limit of its container."""
    return max(1, math.ceil(min(len(os.sched_getaffinity(0)), quota())))


def quota(groups: Path = _GROUPS, own_groups: Path = _OWN_GROUPS) -> float:
    """Return the cores' worth of time that the process's control groups, and those around them, allow."""
    return min((limit for folder in _folders(groups, own_groups) for limit in _limits(folder)), default=math.inf)


def _folders(groups: Path, own_groups: Path) -> Iterator[Path]:
    """Yield the folders of the groups, innermost first; a container sees its own group as the root."""
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / controllers if controllers else groups
        inside = PurePosixPath(group.lstrip("/"))
        yield from (root / folder for folder in (inside, *inside.parents))


def _limits(folder: Path) -> Iterator[float]:
    """Yield the limit of a group, in version 2 of the interface or in version 1."""
    words = _words(folder / "cpu.max") or [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
    if len(words) == 2 and words[0].isdecimal() and int(words[1]):  # `max` or -1 is no limit
        yield int(words[0]) / int(words[1])


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
