"""A run keeps the source of a user's own backbone: it outlives the original, and a change of that is told."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import Answer
from small_runs import opened_run

from sciu.models.errors import ModelError
from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.record.run_state import RunState
from sciu.pipeline.train.run.own_backbone import fingerprint, imported_beside
from sciu.pipeline.train.run.resume import restore, save
from sciu.pipeline.train.run.run import Run

Sciu = Callable[..., Answer]
NET = """
from torch import nn


class Net(nn.Module):
    embedding_size = 5

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(3, 5)

    def forward(self, clip):
        return self.mix(clip.mean(dim=(1, 3, 4)))
"""
OTHER = NET.replace("return self.mix", "return 2 * self.mix")
WIDER = NET.replace("5", "8")
MISSING_LAYER = NET.replace("self.mix = nn.Linear(3, 5)", "pass").replace(
    "self.mix(clip.mean(dim=(1, 3, 4)))", "clip.mean(dim=(3, 4)).flatten(1)[:, :5]"
)


@pytest.fixture
def run(frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A saved run with a backbone that was named relative to its folder; the current folder is another one now."""
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    go_on(frame_faces, tmp_path / "run", backbone="net.py:Net")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "run"


def go_on(data: Dataset, out: Path, **settings: Any) -> list[str]:
    """Begin a run, or resume it, and save it; return what was said."""
    said: list[str] = []
    with opened_run(data, out, say=said.append, **settings) as run:
        state = restore(run)
        save_now(run, state)
    return [line for line in said if line.startswith("backbone")]


def save_now(run: Run, state: RunState) -> None:
    index = run.purifier.index()
    run.step.begin(index.labels, seed=5)
    save(run, state, index)
    run.saver.wait()


def net(run: Path) -> str:
    return f"{run.parent / 'net.py'}:Net"


def test_the_run_names_it_absolute_and_has_a_copy(run: Path) -> None:
    card = RunFolder(run).require()
    assert card.settings.backbone == net(run)
    assert card.backbone == fingerprint(net(run))
    assert [path.read_text() for path in (run / "backbone").iterdir()] == [NET]


def test_it_is_evaluated_from_another_folder(run: Path, sciu: Sciu) -> None:
    assert sciu("eval", run, "--device", "cpu", "--json").json["clips"]


@pytest.mark.parametrize("moved", [False, True])
def test_it_is_evaluated_and_resumed_when_the_original_is_gone(
    run: Path, frame_faces: Dataset, sciu: Sciu, moved: bool
) -> None:
    expected = sciu("eval", run, "--device", "cpu", "--json").json
    (run.parent / "net.py").unlink()
    if moved:
        run = run.rename(run.with_name("moved"))
    answer = sciu("eval", run, "--device", "cpu", "--json")
    assert {**answer.json, "run": ""} == {**expected, "run": ""}
    assert "net.py:Net is not there any more: the run's own copy is used" in answer.err
    said = go_on(frame_faces, run, backbone=net(run))
    assert said == [f"backbone {net(run)} is not there any more: the run's own copy is used"]


def test_a_changed_source_is_not_resumed_unknowingly(run: Path, frame_faces: Dataset, sciu: Sciu) -> None:
    """Also if all shapes are the same."""
    before = sciu("eval", run, "--device", "cpu", "--json").json
    (run.parent / "net.py").write_text(OTHER)
    with pytest.raises(
        RunError, match=r"net.py' has changed\. Restore it from '(.*)', or .*backbone_may_change"
    ) as told:
        go_on(frame_faces, run, backbone=net(run))
    copy = str(told.value).split("Restore it from '")[1].split("'")[0]
    assert Path(copy).read_text() == NET
    answer = sciu("eval", run, "--device", "cpu", "--json")
    assert answer.json == before, "what was trained is evaluated"
    assert "has changed since: the run's own copy is used" in answer.err
    (run.parent / "net.py").write_text(NET)
    assert go_on(frame_faces, run, backbone=net(run)) == []


def test_a_change_that_is_allowed_is_told_once_and_kept(run: Path, frame_faces: Dataset, sciu: Sciu) -> None:
    (run / "checkpoints/last.pt").rename(run / "checkpoints/best.pt")
    (run / "checkpoints/last.pt").write_bytes((run / "checkpoints/best.pt").read_bytes())
    (run.parent / "net.py").write_text(OTHER)
    said = go_on(frame_faces, run, backbone=net(run), backbone_may_change=True)
    assert said == [f"backbone: {net(run)} has changed, and the run goes on with what it is now"]
    assert go_on(frame_faces, run, backbone=net(run)) == []
    assert sorted(path.read_text() for path in (run / "backbone").iterdir()) == sorted([NET, OTHER])
    assert "has changed" not in sciu("eval", run, "--device", "cpu").err
    older = sciu("eval", run, "--device", "cpu", "--checkpoint", "best")
    assert "has changed since: the run's own copy is used" in older.err, "a checkpoint from before the change"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            WIDER,
            r"model 'backbone.mix.weight' is \[5, 3\] float32 in the checkpoint and \[8, 3\] float32 in the network",
        ),
        (MISSING_LAYER, "model 'backbone.mix.weight' is in the checkpoint only"),
    ],
)
def test_a_change_that_does_not_fit_the_weights_is_a_line(
    run: Path, frame_faces: Dataset, source: str, message: str
) -> None:
    (run.parent / "net.py").write_text(source)
    with pytest.raises(RunError, match=f"last.pt' does not fit the network: {message}.*backbone changed"):
        go_on(frame_faces, run, backbone=net(run), backbone_may_change=True)
    (run.parent / "net.py").write_text(NET)
    assert go_on(frame_faces, run, backbone=net(run)) == [], "what was trained is still what the run knows"
    assert [path.read_text() for path in (run / "backbone").iterdir()] == [NET]


def test_a_change_that_trained_nothing_is_not_remembered(run: Path, frame_faces: Dataset) -> None:
    """Neither if the process ends before its first checkpoint, nor while the run is trained by another."""
    before = RunFolder(run).card.read_bytes()
    (run.parent / "net.py").write_text(OTHER)
    with opened_run(frame_faces, run, backbone=net(run), backbone_may_change=True) as training:
        restore(training)
        with pytest.raises(ValueError, match="purifier. cannot be opened"):
            go_on(frame_faces, run, backbone=net(run), backbone_may_change=True)
    assert RunFolder(run).card.read_bytes() == before
    (run.parent / "net.py").write_text(NET)
    assert go_on(frame_faces, run, backbone=net(run)) == []


def test_what_is_kept_of_a_change_is_what_was_trained(run: Path, frame_faces: Dataset) -> None:
    """Not what the user has written into the file meanwhile; where the dataset was moved to is kept, too."""
    moved = Dataset.load(shutil.copytree(frame_faces.folder, run.parent / "faces"))
    (run.parent / "net.py").write_text(OTHER)
    with opened_run(moved, run, backbone=net(run), backbone_may_change=True) as training:
        state = restore(training)
        (run.parent / "net.py").write_text(WIDER)
        save_now(training, state)
    card = RunFolder(run).require()
    assert card.dataset.folder == str(moved.folder)
    assert card.backbone == Checkpoints(run / "checkpoints").load("last")["backbone"]
    assert card.backbone == hashlib.sha256(OTHER.encode()).hexdigest()
    assert sorted(path.read_text() for path in (run / "backbone").iterdir()) == sorted([NET, OTHER])


@pytest.mark.parametrize(("copy", "told"), [(OTHER, "has changed"), (None, "is missing")])
def test_the_runs_own_copy_is_executed_only_if_it_is_what_was_trained(
    run: Path, frame_faces: Dataset, sciu: Sciu, tmp_path: Path, copy: str | None, told: str
) -> None:
    (run.parent / "net.py").unlink()
    (kept,) = (run / "backbone").iterdir()
    kept.unlink() if copy is None else kept.write_text(copy)
    expected = rf"'{kept}' must be the run's own copy of backbone '{net(run)}', .* but {told}\. Restore it or the"
    with pytest.raises(RunError, match=expected):
        go_on(frame_faces, run, backbone=net(run))
    for refused in (
        sciu("eval", run, "--device", "cpu"),
        sciu("predict", run, frame_faces.folder, "--out", tmp_path / "out.csv", "--device", "cpu"),
    ):
        assert refused.code == 3
        assert re.search(expected, refused.error())


def test_a_run_of_an_earlier_version_has_no_copy_to_compare_with(run: Path, frame_faces: Dataset, sciu: Sciu) -> None:
    content = json.loads((run / "run.json").read_text())
    del content["backbone"]
    (run / "run.json").write_text(json.dumps(content))
    (run.parent / "net.py").write_text(OTHER)
    assert go_on(frame_faces, run, backbone=net(run)) == []
    (run.parent / "net.py").unlink()
    with pytest.raises(ModelError, match="must be in a file, but there is no"):
        go_on(frame_faces, run, backbone=net(run))


def test_a_module_is_compared_too_but_imported_from_where_it_is(
    frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sciu: Sciu
) -> None:
    (tmp_path / "nets").mkdir()
    source = tmp_path / "nets/sciu_test_module.py"
    source.write_text(NET)
    monkeypatch.syspath_prepend(source.parent)
    name = "sciu_test_module:Net"
    go_on(frame_faces, tmp_path / "run", backbone=name)
    assert [path.read_text() for path in (tmp_path / "run/backbone").iterdir()] == [NET]
    source.write_text(OTHER)
    with pytest.raises(RunError, match="sciu_test_module.py' has changed"):
        go_on(frame_faces, tmp_path / "run", backbone=name)
    answer = sciu("eval", tmp_path / "run", "--device", "cpu")
    assert f"{name} has changed since; what it was is in '{tmp_path / 'run/backbone'}'" in answer.err


def test_a_backbone_of_ours_has_no_source_to_keep(frame_faces: Dataset, tmp_path: Path) -> None:
    assert fingerprint("tiny_lstm") == fingerprint("no.such:Net") == ""
    go_on(frame_faces, tmp_path / "run", backbone="tiny_lstm", size=32)
    assert not (tmp_path / "run/backbone").exists()
    assert RunFolder(tmp_path / "run").require().backbone == ""


def test_what_the_source_imports_from_its_folder_is_said_for_the_run_keeps_no_copy_of_it(
    frame_faces: Dataset, tmp_path: Path
) -> None:
    nets = tmp_path / "nets"
    nets.mkdir()
    for name in ("layers", "blocks", "heads", "utils", "apart"):
        (nets / f"{name}.py").touch()
    imports = ["import torch.utils.data", "if False:", "    import layers.deep", "    from . import heads"]
    (nets / "net.py").write_text("\n".join([*imports, "    from nets.blocks import x", NET]))
    name = f"{nets}/net.py:Net"
    assert imported_beside(name) == ["blocks.py", "heads.py", "layers.py"]
    said: list[str] = []
    with opened_run(frame_faces, tmp_path / "run", say=said.append, backbone=name):
        pass
    (told,) = (line for line in said if "not copied" in line)
    assert told.startswith("Warning: backbone: ")
    assert told.endswith("blocks.py, heads.py, layers.py")
    assert imported_beside("tiny_lstm") == []
    (nets / "net.py").write_text("def")
    assert imported_beside(name) == []
