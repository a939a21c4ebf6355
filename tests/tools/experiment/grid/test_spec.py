"""A spec is checked and expanded into runs, and each run is one command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciu.pipeline.errors import SettingError
from sciu.tools.experiment.grid.jobs import Job, arguments, chosen, expand
from sciu.tools.experiment.grid.spec import read_spec, spec_of

ROOT = Path(__file__).resolve().parents[4]
SPECS = sorted((ROOT / "examples/experiments").glob("*.toml"))
SMALL: dict[str, Any] = {
    "name": "small", "seeds": [3, 4], "settings": {"epochs": 2, "lr": 0.1},
    "data": [{"name": "a", "path": "/a", "lr": 0.2}, {"name": "b", "path": "/b"}],
    "method": [
        {"method": "plain"}, {"method": "sciu", "prune_below": "auto"}, {"name": "oracle", "labels": "truth"},
        {"name": "again", "labels": "cleaned", "of": "sciu"}, {"name": "random", "labels": "random", "of": "sciu"},
    ],
}  # fmt: skip


def small(**changes: Any) -> dict[str, Any]:
    """The small spec with some keys changed."""
    return {**SMALL, **changes}


def ids(jobs: list[Job]) -> list[str]:
    return [job.id for job in jobs]


def test_every_combination_is_one_run_and_whole_seeds_come_first() -> None:
    jobs = expand(spec_of(SMALL))
    assert len(jobs) == len(set(ids(jobs))) == 2 * 2 * 5
    assert ids(jobs)[:2] == ["a/tiny_lstm/plain/3", "a/tiny_lstm/sciu/3"]
    assert {job.seed for job in jobs[:10]} == {3}
    assert [job.needs for job in jobs[:5]] == ["", "", "", "a/tiny_lstm/sciu/3", "a/tiny_lstm/sciu/3"]


@given(st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3))
def test_the_number_of_runs_is_a_product(seeds: int, data: int, folds: int, backbones: int) -> None:
    content = small(
        seeds=list(range(seeds)), backbones=[f"net{k}" for k in range(backbones)],
        data=[{"name": f"d{k}", "path": "x", "folds": list(range(1, folds + 1))} for k in range(data)],
    )  # fmt: skip
    jobs = expand(spec_of(content))
    assert len({job.id for job in jobs}) == len(jobs) == 5 * seeds * data * max(folds, 1) * backbones


def test_later_layers_go_over_earlier_ones() -> None:
    content = small(backbone={"tiny_lstm": {"lr": 0.15, "size": 48}}, method=[{"method": "plain", "epochs": 9}])
    a, b = (job.settings for job in expand(spec_of(content))[:2])
    assert a == {"epochs": 9, "lr": 0.2, "size": 48, "method": "plain"}
    assert b == {**a, "lr": 0.15}


def test_a_run_is_one_command() -> None:
    job = expand(
        spec_of(small(settings={"preset": "demo", "sync_batchnorm": False}, data=[{"name": "a", "folds": [2]}]))
    )[1]
    assert job.id == "a/tiny_lstm/sciu/3-fold2"
    words = arguments(job, Path("/d"), Path("/r"), labels_from=Path("/l.npy"), threads=2)
    assert " ".join(words) == (
        "/d --out /r --resume --backbone tiny_lstm --seed 3 --preset demo --fold 2 --labels-from /l.npy --threads 2"
        " --set sync_batchnorm=false --set method=sciu --set prune_below=auto"
    )


def test_only_some_runs_bring_those_that_they_wait_for_unless_done() -> None:
    jobs = expand(spec_of(SMALL))
    assert ids(chosen(jobs, ["a/*/again/3"], lambda _job: False)) == ["a/tiny_lstm/sciu/3", "a/tiny_lstm/again/3"]
    assert ids(chosen(jobs, ["a/*/again/3"], lambda _job: True)) == ["a/tiny_lstm/again/3"]
    assert chosen(jobs, [], lambda _job: True) == jobs


def test_what_a_run_is_has_a_key_that_its_place_and_seed_do_not_change() -> None:
    plain, sciu, oracle, *_ = expand(spec_of(SMALL))
    other = expand(spec_of(small(settings={"epochs": 3})))[0]
    assert len({plain.key(), sciu.key(), oracle.key(), other.key()}) == 4
    assert expand(spec_of(small(title="told otherwise")))[0].key() == plain.key()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 1}, "a key of a spec must be one of .* but is 'epoch'"),
        ({"settings": {"epoch": 1}}, "Did you mean epochs"),
        ({"settings": {"seed": 1}}, "seed must be left to the grid"),
        ({"settings": {"lr": "fast"}}, "lr must be a number"),
        ({"settings": {"preset": ["demo"]}}, "preset must be text"),
        ({"data": [{"path": "x"}]}, "must be named"),
        ({"data": [{"name": "../up", "path": "x"}]}, "must be letters, digits"),
        ({"data": [{"name": "a", "path": "x", "synth": {}}]}, "must be a path or synth"),
        ({"data": [{"name": "a", "path": "x", "per_seed": True}]}, "per_seed must be of synth"),
        ({"data": [{"name": "a", "synth": {"clip": 9}}]}, "must hold options of `sciu-data synth`"),
        ({"seeds": [1, 1]}, "seeds must be different"),
        ({"tuning_seeds": [4]}, "seeds must be others than tuning_seeds"),
        ({"method": [{"method": "plain", "labels": "clean"}]}, "labels of plain must be one of"),
        ({"method": [{"name": "x", "labels": "cleaned", "of": "y"}]}, "`of` of x must be one of"),
        ({"method": [{"name": "x", "of": "y"}]}, "`of` of x must be left out"),
        ({"method": []}, "method must be given"),
        ({"method": ["plain"]}, "method must be a list, each of it a table"),
        ({"data": {"name": "a"}}, "data must be a list, each of it a table"),
        ({"data": [{"name": 3, "path": "x"}]}, "name must be text, but is 3"),
        ({"data": [{"name": "a", "path": "x", "folds": 3}]}, "folds must be a list, each of it a whole number"),
        ({"data": [{"name": "a", "path": "x", "folds": [1, 1]}]}, "folds of a must be different"),
        ({"seeds": 3}, "seeds must be a list"),
        ({"seeds": []}, "seeds must be at least one"),
        ({"backbone": {"tiny_lstm": 3}}, r"\[backbone.tiny_lstm\] must be a table of settings, but is 3"),
        ({"seeds": [True]}, "seeds must be a list, each of it a whole number"),
        ({"settings": 3}, "settings must be a table"),
        ({"keep_runs": "no"}, "keep_runs must be true or false"),
        ({"backbone": {"tiny_lstn": {}}}, r"\[backbone.NAME\] must be of tiny_lstm, but is 'tiny_lstn'"),
        ({"method": [{"labels": "part", "name": "x"}]}, "`part` of x must be 1 to 5 with labels part, but is 0"),
        ({"method": [{"part": 1, "name": "x"}]}, "`part` of x must be left out with labels given, but is 1"),
        ({"method": [{"labels": "part", "part": 1, "name": n} for n in "xy"]}, "`part` must be another in every row"),
        ({"method": [{"name": a, "labels": "random", "of": b} for a, b in ("xy", "yx")]}, "`of` of x must be one of"),
    ],
)
def test_what_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        spec_of(small(**change))


def test_a_spec_that_is_no_toml_or_not_there_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    with pytest.raises(SettingError, match=r"spec must be a file, but '.*spec.toml' is missing or a folder"):
        read_spec(path)
    path.write_text("name = ")
    with pytest.raises(SettingError, match=r"spec.toml' must be TOML"):
        read_spec(path)
    path.write_text("name = 'x'")
    with pytest.raises(SettingError, match=r"spec.toml': data must be given"):
        read_spec(path)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_specs_that_come_with_the_project_are_sound(path: Path) -> None:
    spec = read_spec(path)
    assert len(expand(spec)) == len({job.id for job in expand(spec)})
    assert "plain" in [row.name for row in spec.methods]
