"""How long a grid will take is known from its first epochs, and said rarely."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sciu.pipeline.train.record.epoch_record import EpochRecord, Spent
from sciu.tools.experiment.grid.jobs import Job, Places, expand
from sciu.tools.experiment.grid.remaining import Remaining
from sciu.tools.experiment.grid.spec import spec_of

EPOCHS = 10


def grid(datasets: int) -> list[Job]:
    """A run of each dataset, and a second one of each."""
    return expand(spec_of({
        "name": "small", "seeds": [3, 4], "data": [{"name": f"d{k}", "path": "/x"} for k in range(datasets)],
        "method": [{"method": "plain"}],
    }))  # fmt: skip


def remaining(jobs: list[Job], out: Path, at_once: int) -> Remaining:
    return Remaining(Places(out), {job.id: EPOCHS for job in jobs}, at_once)


def trained(job: Job, out: Path, *seconds: float) -> None:
    """Write the log of a run whose epochs took so long, half of it in training."""
    log = Places(out).run(job.id) / "log.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    records = [
        EpochRecord(epoch=1 + k, loss=1.0, accuracy=0.5, lr=0.1, spent=Spent(seconds=each / 2, evaluating=each / 2))
        for k, each in enumerate(seconds)
    ]
    log.write_text("".join(json.dumps(record.to_json()) + "\n" for record in records))


def test_nothing_is_known_before_the_third_epoch(tmp_path: Path) -> None:
    jobs = grid(1)
    looked = remaining(jobs, tmp_path, 1)
    assert looked.seconds(jobs[:1], jobs[1:]) is None
    trained(jobs[0], tmp_path, 9.0, 2.0)
    assert looked.seconds(jobs[:1], jobs[1:]) is None


@pytest.mark.parametrize(("at_once", "seconds"), [(1, 7 * 2 + 10 * 2), (2, 10 * 2)])
def test_the_first_epoch_is_slower_and_does_not_count(tmp_path: Path, at_once: int, seconds: float) -> None:
    """Seven epochs of one run are left and ten of the other; two at once last as long as the longer one."""
    jobs = grid(1)
    trained(jobs[0], tmp_path, 9.0, 2.0, 2.0)
    assert remaining(jobs, tmp_path, at_once).seconds(jobs[:1], jobs[1:]) == pytest.approx(seconds)


def test_each_dataset_has_its_own_pace_and_those_to_come_the_mean(tmp_path: Path) -> None:
    jobs = grid(3)
    trained(jobs[0], tmp_path, 1.0, 1.0, 1.0)
    trained(jobs[1], tmp_path, 3.0, 3.0, 3.0)
    looked = remaining(jobs, tmp_path, 1)
    assert looked.seconds(jobs[:2], jobs[2:3]) == pytest.approx(7 * 1 + 7 * 3 + 10 * 2)
    assert looked.seconds([], jobs[3:4]) == pytest.approx(10), "the pace of a dataset whose first run has ended"
    assert looked.seconds([], []) is None, "nothing is left"


def test_a_log_that_is_being_written_is_read_the_next_time(tmp_path: Path) -> None:
    jobs = grid(1)
    trained(jobs[0], tmp_path, 1.0, 1.0, 1.0)
    log = Places(tmp_path).run(jobs[0].id) / "log.jsonl"
    whole = log.read_text()
    log.write_text(whole[:-30])
    looked = remaining(jobs, tmp_path, 1)
    assert looked.seconds(jobs[:1], []) is None
    log.write_text(whole)
    assert looked.seconds(jobs[:1], []) == pytest.approx(7)


def test_it_is_said_at_once_and_again_when_half_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sciu.tools.experiment.grid.remaining._INTERVAL", 0.0)
    jobs = grid(1)
    looked = remaining(jobs, tmp_path, 1)
    for epochs in range(EPOCHS + 1):  # and nothing is said while the last run ends
        trained(jobs[0], tmp_path, *[60.0] * epochs)
        looked.look(jobs[:1], [])
    assert capsys.readouterr().err.splitlines() == [
        f"1 of 2 runs to go: about {left}" for left in ("7.0 min", "3.0 min", "1.0 min")
    ]
