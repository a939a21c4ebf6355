"""The available memory of the machine, or of the container or job that this process runs in."""

from __future__ import annotations

import re
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """Return the available bytes; pages that cache files count, because the kernel frees them on demand."""
    found = re.search(r"MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    free = int(found[1]) * 1024 if found else 0
    return max(0, min([free, *(left for place in _own_groups() if (left := _left_in(place)) is not None)]))


def _own_groups() -> list[Path]:
    """Return this process's control group and its parents; a SLURM job's is not the root."""
    try:
        own = Path("/proc/self/cgroup").read_text().splitlines()[-1].split(":")[2].lstrip("/")
    except (OSError, IndexError):
        own = ""
    group = _GROUPS / own
    return [each for each in (group, *group.parents) if each.is_relative_to(_GROUPS)]


def _left_in(group: Path) -> int | None:
    """Return the bytes left below a control group's limit, or None without a limit."""
    try:
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        cached = re.search(r"^inactive_file (\d+)", (group / "memory.stat").read_text(), re.MULTILINE)
    except (OSError, ValueError):  # the file is missing, or its limit is `max`
        return None
    return limit - used + (int(cached[1]) if cached else 0)
