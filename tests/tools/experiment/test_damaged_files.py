"""Whatever a spec or a result holds, it is read, or refused in a line of ours."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from mutated import contents, feed, values

from sciu.pipeline.dataset.errors import DatasetError
from sciu.tools.experiment.grid.harness import Harness
from sciu.tools.experiment.grid.jobs import Places, arguments, expand
from sciu.tools.experiment.grid.spec import read_spec
from sciu.tools.experiment.results.read import load_groups, read_result
from sciu.tools.experiment.show.layout import comma_separated, latex, markdown
from sciu.tools.experiment.show.tables import as_in_papers, by_method, numbers

ROOT = Path(__file__).resolve().parents[3]
SPEC: dict[str, Any] = {
    "name": "all", "title": "All that a spec can hold", "backbones": ["tiny_lstm", "resnet18_lstm"], "seeds": [3, 4],
    "tuning_seeds": [1], "keep_runs": False, "settings": {"preset": "demo", "epochs": 30, "prune_below": "auto"},
    "backbone": {"tiny_lstm": {"lr": 0.1}},
    "data": [
        {"name": "a", "path": "/a", "folds": [1, 2], "lr": 0.2},
        {"name": "b", "per_seed": True, "synth": {"clips": 42, "size": 32, "mislabel": 0.2, "noise": "sym"}},
    ],
    "method": [
        {"method": "plain"}, {"method": "sciu", "cgp": True, "name": "mine"}, {"name": "oracle", "labels": "truth"},
        {"name": "again", "labels": "cleaned", "of": "mine"}, {"name": "part 1", "labels": "part", "part": 1},
    ],
}  # fmt: skip
RESULTS = ROOT / "docs/experiments/results/real/results/real/tiny_lstm"
SECONDS = pytest.mark.parametrize("examples", [150, pytest.param(5_000, marks=pytest.mark.slow)])


def as_toml(content: dict[str, Any]) -> bytes:
    """The content as a file; what TOML cannot hold is left out."""
    try:
        return tomli_w.dumps(content).encode()
    except (TypeError, ValueError, AttributeError):
        return b""


@SECONDS
def test_specs(tmp_path: Path, examples: int) -> None:
    path = tmp_path / "spec.toml"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        spec = read_spec(path)
        jobs = expand(spec)
        assert len({job.id for job in jobs}) == len(jobs)
        Harness(spec, Places(tmp_path), {}, 1).check(jobs)
        assert all(job.key() and arguments(job, path, path, labels_from=None, threads=1) for job in jobs)

    feed(examples, values(SPEC).map(as_toml) | contents(as_toml(SPEC)), read, whole=as_toml(SPEC))


@SECONDS
def test_results(tmp_path: Path, examples: int) -> None:
    """One of three is damaged; the numbers of the others do not hide it."""
    for method in ("plain", "auto", "oracle"):
        path = tmp_path / f"results/real/tiny_lstm/{method}/21.json"
        path.parent.mkdir(parents=True)
        path.write_bytes((RESULTS / method / "21.json").read_bytes())
    path = tmp_path / "results/real/tiny_lstm/auto/21.json"
    content = json.loads(path.read_text())

    def read(damaged: bytes) -> None:
        path.write_bytes(damaged)
        groups = load_groups(tmp_path)
        assert comma_separated(numbers(groups, 10, ()))
        tables = [as_in_papers(groups, 10, ()), *(table for group in groups for table in by_method(group, 10, ()))]
        assert all(markdown(table) and latex(table) for table in tables)

    whole = json.dumps(content).encode()
    feed(examples, values(content).map(lambda found: json.dumps(found).encode()) | contents(whole), read, whole=whole)


@SECONDS
def test_arrays(tmp_path: Path, examples: int) -> None:
    path = tmp_path / "21.json"
    path.write_bytes((RESULTS / "auto" / "21.json").read_bytes())
    result, written = read_result(path), io.BytesIO()
    np.savez_compressed(written, test_probs=np.eye(7, dtype=np.float32), test_labels=np.arange(7, dtype=np.int16))

    def read(content: bytes) -> None:
        path.with_suffix(".npz").write_bytes(content)
        assert result.arrays()

    feed(examples, contents(written.getvalue()), read, whole=written.getvalue())


def test_an_archive_of_nothing_is_damaged(tmp_path: Path) -> None:
    """Damage to the end of a zip file can leave one without a member."""
    path = tmp_path / "21.json"
    path.write_bytes((RESULTS / "auto" / "21.json").read_bytes())
    zipfile.ZipFile(path.with_suffix(".npz"), "w").close()
    with pytest.raises(DatasetError, match=r"21.npz' is damaged: it has no arrays. Remove it"):
        read_result(path).arrays()


def test_a_run_with_two_results_or_other_classes_is_refused(tmp_path: Path) -> None:
    """Files were copied: which of them counts is not for us to choose."""
    for name in ("21", "22"):
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / f"results/{name}.json").write_bytes((RESULTS / "auto" / "21.json").read_bytes())
    with pytest.raises(DatasetError, match=r"22.json' and '.*21.json' are of the same run"):
        load_groups(tmp_path)
    other = json.loads((RESULTS / "auto" / "22.json").read_text())
    other["dataset"]["classes"][0] += "!"
    (tmp_path / "results/22.json").write_text(json.dumps(other))
    with pytest.raises(DatasetError, match=r"must be of classes .* but is of"):
        load_groups(tmp_path)
