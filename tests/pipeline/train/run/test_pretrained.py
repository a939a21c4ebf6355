"""A training starts from another run's weights; from its classifier only where that is for the same classes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from shared import copy_of, made_once
from small_runs import SMALL, opened_run
from torch import Tensor

from sciu.models.errors import ModelError
from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.record.run_state import RunState
from sciu.pipeline.train.run.build import build_network
from sciu.pipeline.train.run.resume import save

LAST = "checkpoints/last.pt"


@pytest.fixture(scope="session")
def trained(frame_faces: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a checkpoint; for reading only."""

    def begin(folder: Path) -> None:
        with opened_run(frame_faces, folder / "run", seed=7) as run:
            index = run.purifier.index()
            run.step.begin(index.labels, seed=5)
            save(run, RunState(), index)
            run.saver.wait()

    return made_once(tmp_path_factory, "pretrained", begin) / "run"


def of_an_earlier_version(run: Path) -> Path:
    """Remove from a checkpoint the names of its classes, which the first version did not write."""
    kept = Checkpoints(run / "checkpoints")
    kept.save({name: value for name, value in kept.load("last").items() if name not in ("classes", "format")})
    return run / LAST


def start_from(weights: Path, classes: list[str]) -> tuple[dict[str, Tensor], str]:
    """Build a network with weights; return its tensors, and what was said."""
    said: list[str] = []
    settings = Settings(**{**SMALL, "weights": str(weights)})
    return dict(build_network(settings, classes, said.append).state_dict()), " ".join(said)


def weights_of(run: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = Checkpoints(run / "checkpoints").load("last")["model"]
    return found


def same(one: dict[str, Tensor], other: dict[str, Tensor], part: str) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one if name.startswith(part))


def test_the_same_classes_take_all_of_it(trained: Path, frame_faces: Dataset) -> None:
    found, said = start_from(trained / LAST, [*frame_faces.classes])
    assert same(found, weights_of(trained), "")
    assert said.endswith("tensors loaded")


@pytest.mark.parametrize("named_by", ["the checkpoint", "the run"])
def test_the_same_classes_in_another_order_move_the_classifiers_rows(
    trained: Path, frame_faces: Dataset, tmp_path: Path, named_by: str
) -> None:
    run = copy_of(trained, tmp_path / "run")
    if named_by == "the run":
        of_an_earlier_version(run)
    else:
        (run / "run.json").unlink()
    found, said = start_from(run / LAST, [*reversed(frame_faces.classes)])
    given = weights_of(run)
    assert same(found, given, "backbone.")
    for name in ("classifier.weight", "classifier.bias"):
        assert torch.equal(found[name], given[name].flip(0))
    assert "the classifier's rows were put into the order of this dataset's classes" in said


def test_other_classes_leave_the_classifier_out(trained: Path, frame_faces: Dataset) -> None:
    classes = [*frame_faces.classes[:-1], "contempt"]
    fresh, given = dict(build_network(Settings(**SMALL), classes, print).state_dict()), weights_of(trained)
    found, said = start_from(trained / LAST, classes)
    assert same(found, given, "backbone.")
    assert same(found, fresh, "classifier.")
    assert "2 not loaded (classifier.weight, classifier.bias)" in said
    assert f"for other classes, with {frame_faces.classes[-1]} only there, with contempt only here" in said


def test_a_checkpoint_that_nobody_knows_the_classes_of_leaves_it_out(
    trained: Path, frame_faces: Dataset, tmp_path: Path
) -> None:
    run = copy_of(trained, tmp_path / "run")
    of_an_earlier_version(run)
    (run / "run.json").unlink()
    found, said = start_from(run / LAST, [*frame_faces.classes])
    assert not same(found, weights_of(run), "classifier.")
    assert "the classifier was left out: nothing says which classes it is for" in said


def test_a_damaged_card_beside_it_says_nothing_about_classes(
    trained: Path, frame_faces: Dataset, tmp_path: Path
) -> None:
    run = copy_of(trained, tmp_path / "run")
    of_an_earlier_version(run)
    (run / "run.json").write_text(json.dumps({"dataset": {"classes": [*frame_faces.classes]}}))
    assert "nothing says which classes" in start_from(run / LAST, [*frame_faces.classes])[1]


def test_of_a_run_it_takes_the_last_checkpoint_and_says_so(trained: Path, frame_faces: Dataset) -> None:
    found, said = start_from(trained, [*frame_faces.classes])
    assert same(found, weights_of(trained), "")
    assert f"'{trained / LAST}'" in said


def test_a_run_without_a_checkpoint_and_a_folder_that_is_no_run_are_told(
    trained: Path, frame_faces: Dataset, tmp_path: Path
) -> None:
    run = copy_of(trained, tmp_path / "run")
    (run / LAST).unlink()
    with pytest.raises(RunError, match="There is none yet: the first epoch writes one"):
        start_from(run, [*frame_faces.classes])
    with pytest.raises(ModelError, match="must be a file or a run, but is a folder without a run.json"):
        start_from(tmp_path, [*frame_faces.classes])
    with pytest.raises(ModelError, match="must be a file, but is missing"):
        start_from(tmp_path / "nowhere.pt", [*frame_faces.classes])
