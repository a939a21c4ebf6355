"""All cores work, and a process that dies loses only the task that killed it."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import die_at_13, double, refuse

from sciu.pipeline.dataset.system.workers import PRELOADED, Crashed, map_tasks


@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_every_task_is_answered_once(count: int) -> None:
    assert sorted(map_tasks(double, range(count))) == [(task, 2 * task) for task in range(count)]


def test_a_crash_costs_its_own_task() -> None:
    results = dict(map_tasks(die_at_13, range(120)))
    assert {task for task, result in results.items() if isinstance(result, Crashed)} == {13, 63, 113}
    assert [results[task] for task in range(120) if task % 50 != 13] == [t for t in range(120) if t % 50 != 13]


def test_an_exception_of_the_function_is_raised() -> None:
    with pytest.raises(OSError, match="No space left"):
        list(map_tasks(refuse, range(30)))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import time\n"
        "from sciu.pipeline.dataset.system.workers import map_tasks\n"
        "def slow(task):\n    time.sleep(0.05)\n    return task\n"
        "if __name__ == '__main__':\n"
        "    for done in map_tasks(slow, range(10**6)):\n        print('ready', flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "ready\n"
    assert len(members_of(parent.pid)) >= 2
    parent.send_signal(how)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 20
    while members_of(parent.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members_of(parent.pid) == []


def members_of(session: int) -> list[str]:
    """The processes of a session that are still running."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                members.append(entry.name)
    return members


@pytest.mark.parametrize("module", PRELOADED)
def test_what_the_workers_need_is_there_to_be_preloaded(module: str) -> None:
    """Else each worker imports it anew, and nothing says so."""
    importlib.import_module(module)
