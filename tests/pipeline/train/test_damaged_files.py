"""Whatever a run's files hold, they are read, or refused in a line of ours: cards, checkpoints, summaries, settings."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from hypothesis import strategies as st
from mutated import contents, feed, values
from small_runs import Small, opened_run
from torch import Tensor
from training import COMPATIBILITY

from sciu.models.sciu_model import SciuModel
from sciu.models.weights import Classes, load_weights
from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.methods import policy_of
from sciu.pipeline.train.config.resolve import file_layer, resolve
from sciu.pipeline.train.record.checkpoints import Checkpoints, read_checkpoint, require_fitting, require_whole
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.run_state import RunState
from sciu.pipeline.train.report.summary import Summary
from sciu.pipeline.train.run.resume import restore, save
from sciu.tools.experiment.compare import shown

SECONDS = pytest.mark.parametrize("examples", [100, pytest.param(5_000, marks=pytest.mark.slow)])
FEW = pytest.mark.parametrize("examples", [40, pytest.param(2_000, marks=pytest.mark.slow)])
Checkpoint = dict[str, Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of an earlier version."""
    folder = tmp_path_factory.mktemp("written")
    with tarfile.open(next(COMPATIBILITY.glob("*.tar.xz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "sciu-end"


def encoded(content: Any) -> st.SearchStrategy[bytes]:
    """JSON with other values, or with other bytes."""
    text = json.dumps(content, ensure_ascii=False)
    return values(content).map(lambda found: json.dumps(found).encode()) | contents(text.encode())


@SECONDS
def test_cards(run: Path, tmp_path: Path, examples: int) -> None:
    folder = RunFolder(tmp_path)

    def read(content: bytes) -> None:
        folder.card.write_bytes(content)
        assert folder.require().to_json()

    whole = (run / "run.json").read_bytes()
    feed(examples, encoded(json.loads(whole)), read, whole=whole)


@SECONDS
def test_summaries(run: Path, tmp_path: Path, examples: int) -> None:
    folder = RunFolder(tmp_path)

    def read(content: bytes) -> None:
        folder.summary.write_bytes(content)
        assert shown([Summary.load(folder)])

    whole = (run / "summary.json").read_bytes()
    feed(examples, encoded(json.loads(whole)), read, whole=whole)


@SECONDS
def test_settings(run: Path, tmp_path: Path, examples: int) -> None:
    path = tmp_path / "settings.toml"
    given = json.loads((run / "run.json").read_text())["settings"]

    def read(content: bytes) -> None:
        path.write_bytes(content)
        found = resolve([file_layer(path)])
        assert found.toml()
        assert policy_of(found.settings).remarks() is not None

    whole = encoded_as_toml(given)
    feed(examples, values(given).map(encoded_as_toml) | contents(whole), read, whole=whole)


def encoded_as_toml(content: dict[str, Any]) -> bytes:
    try:
        return tomli_w.dumps(content).encode()
    except (TypeError, ValueError):  # TOML has no null
        return b""


@pytest.fixture(scope="module")
def checkpoint(run: Path) -> Checkpoint:
    """The checkpoint of a finished run."""
    return Checkpoints(run / "checkpoints").load("last")


def saved(content: Checkpoint) -> bytes:
    """The content as a file."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def metadata(content: Checkpoint) -> Checkpoint:
    """What is no tensor."""
    return {name: value for name, value in content.items() if name not in ("model", "average", "optimiser", "board")}


@SECONDS
def test_what_a_checkpoint_holds_beside_tensors(checkpoint: Checkpoint, tmp_path: Path, examples: int) -> None:
    path = tmp_path / "last.pt"

    def read(content: Any) -> None:
        torch.save(content, path)
        found = read_checkpoint(path)
        require_whole(path, found)
        assert RunState.from_json(found["state"]).to_json()

    feed(examples, values(metadata(checkpoint)), read, whole=metadata(checkpoint))


@FEW
def test_a_checkpoints_bytes(checkpoint: Checkpoint, tmp_path: Path, examples: int) -> None:
    path, whole = tmp_path / "last.pt", saved(checkpoint)
    wanted: dict[str, dict[str, Tensor]] = {"model": checkpoint["model"]}

    def read(content: bytes) -> None:
        path.write_bytes(content)
        found = read_checkpoint(path)
        require_whole(path, found)
        require_fitting(path, found, wanted)
        assert all(torch.equal(found["model"][name], tensor) for name, tensor in wanted["model"].items())

    feed(examples, contents(whole), read, whole=whole)


@FEW
def test_weights_to_start_from(frame_faces: Dataset, tmp_path: Path, examples: int) -> None:
    """By a network for the same classes in another order."""
    network, path, classes = SciuModel(Small(), 7), tmp_path / "last.pt", [*frame_faces.classes]
    whole = {"model": network.state_dict(), "classes": classes, "run": "1f"}

    def read(content: bytes) -> str:
        path.write_bytes(content)
        return load_weights(network, path, Classes(classes[::-1])).remark

    assert "put into the order of this dataset's classes" in read(saved(whole))
    damaged = values(metadata(whole)).map(lambda content: saved({"model": whole["model"], **content}))
    feed(examples, damaged | contents(saved(whole)), read, whole=saved(whole))


@FEW
def test_a_run_that_is_resumed(frame_faces: Dataset, tmp_path: Path, examples: int) -> None:
    with opened_run(frame_faces, tmp_path / "run") as run:
        torch.set_flush_denormal(False)  # as a run sets it, hypothesis cannot count floats
        index = run.purifier.index()
        run.step.begin(index.labels, seed=5)
        save(run, RunState(), index)
        run.saver.wait()
        checkpoint = run.checkpoints.load("last")
        whole = metadata(checkpoint)
        tensors = {name: value for name, value in checkpoint.items() if name not in whole}

        def read(content: Any) -> None:
            run.checkpoints.save({**tensors, **content})
            assert restore(run).epoch

        feed(examples, values(whole), read, whole=whole)
