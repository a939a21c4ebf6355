"""A file says of clips what the run that it was exported from says of them, and needs nothing of it."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from helpers import moving_picture
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from shared import copy_of
from small_runs import opened_run
from torch import Tensor

from sciu.models.errors import ModelError
from sciu.models.registry import REGISTRY, build_backbone, frame_size
from sciu.models.sciu_model import SciuModel
from sciu.models.weights import Classes, load_weights
from sciu.pipeline.dataset import Dataset
from sciu.pipeline.dataset.media.encode import encode_clip
from sciu.pipeline.errors import SettingError
from sciu.pipeline.feed.plan.sampling import SAMPLINGS, Sampling
from sciu.pipeline.train import Predictor
from sciu.pipeline.train import export as exporting
from sciu.pipeline.train.export import Exported, export
from sciu.pipeline.train.run.resume import restore, save
from sciu.pipeline.train.run.trained_run import TrainedNetwork

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE: dict[str, Any] = runpy.run_path(str(ROOT / "examples" / "onnx_predict.py"))
QUICK = ["tiny_lstm", "resnet18_lstm", "former_dfer"]
OTHERS = [pytest.param(name, marks=pytest.mark.slow) for name in REGISTRY if name not in QUICK]
OWN = """
from torch import nn


class Net(nn.Module):
    embedding_size = 5
    frame_size = 32

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(3, 5)

    def forward(self, clip):
        B = len(clip)
        return self.mix(clip.transpose(1, 2).reshape(B, 3, -1).std(dim=2))
"""
BRANCHING = OWN.replace("return self.mix(", "return (1 if clip.sum() > 0 else 2) * self.mix(")


def saved_run(data: Dataset, out: Path, **settings: Any) -> Path:
    """A run with one checkpoint, whose averaged weights differ from the last ones."""
    method = {"method": "sciu", "pipeline": "dali", "size": 0, "frames": 4, "amp": "off"}
    with opened_run(data, out, **{**method, **settings}) as run:
        state = restore(run)
        with torch.no_grad():
            classifier: Any = run.step.network.classifier
            classifier.weight.mul_(2)
        run.step.average.follow()
        index = run.purifier.index()
        run.step.begin(index.labels, seed=5)
        save(run, state, index)
        run.saver.wait()
    return out


def clips_in(folder: Path, size: int) -> list[Path]:
    """Three videos, longer, as long, and shorter than what is taken of them, which are cropped and not scaled.

    Pillow and torch scale a little differently; tests/test_examples.py compares what comes of that.
    """
    paths = []
    for number, (frames, wider, higher) in enumerate([(13, 34, 0), (4, 0, 16), (3, 6, 0)]):
        width, height = size + wider, size + higher
        shades = [
            np.roll(frame, 31 * number, axis=2) // (number + 1) for frame in moving_picture(frames, width, height)
        ]
        paths.append(folder / f"{number}.mp4")
        paths[-1].write_bytes(encode_clip(shades, "h264"))
    return paths


def session_of(exported: Exported) -> Any:
    return onnxruntime.InferenceSession(exported.content, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("backbone", [*QUICK, *OTHERS])
def test_onnx_says_of_decoded_clips_what_the_predictor_says_one_by_one_and_together(
    frame_faces: Dataset, tmp_path: Path, backbone: str
) -> None:
    run, clips = saved_run(frame_faces, tmp_path / "run", backbone=backbone), clips_in(tmp_path, frame_size(backbone))
    with Predictor.load(run, device="cpu") as predictor:
        said = predictor(clips)
    exported = export(TrainedNetwork.of(run), "onnx")
    session, how = session_of(exported), exported.record["clip"]
    assert how["size"] == frame_size(backbone)
    each = [EXAMPLE["frames_of"](path, how) for path in clips]
    alone = [session.run(None, {"frames": frames}) for frames in each]
    probabilities, weights = session.run(None, {"frames": np.concatenate(each)})
    expected = np.array([[*clip.probabilities.values()] for clip in said])
    assert np.ptp(expected, axis=0).max() > 1e-4, "the clips must differ by more than what is allowed below"
    np.testing.assert_allclose(probabilities, expected, atol=2e-6)
    np.testing.assert_allclose(weights, np.array([clip.weight for clip in said], np.float32), atol=2e-6)
    np.testing.assert_allclose(np.concatenate([one[0] for one in alone]), probabilities, atol=2e-6)
    classes = exported.record["classes"]
    assert [classes[row.argmax()] for row in probabilities] == [clip.label for clip in said]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("backbone", ["tiny_lstm", "own"])
def test_onnx_computes_what_the_network_computes_of_the_same_pixels(
    frame_faces: Dataset, tmp_path: Path, backbone: str, batch: int
) -> None:
    (tmp_path / "net.py").write_text(OWN)
    name = f"{tmp_path}/net.py:Net" if backbone == "own" else backbone
    trained = TrainedNetwork.of(saved_run(frame_faces, tmp_path / "run", backbone=name))
    exported = export(trained, "onnx")
    frames = torch.randint(0, 256, (batch, *exported.record["input"]["shape"][1:]), dtype=torch.uint8)
    mean, std = (torch.tensor(exported.record["clip"][name]) for name in ("mean", "std"))
    with trained.network() as network, torch.no_grad():
        expected = network(((frames - mean) / std).permute(0, 1, 4, 2, 3))
    found, weights = session_of(exported).run(None, {"frames": frames.numpy()})
    np.testing.assert_allclose(found, expected.logits_BK.softmax(dim=1), atol=1e-5)
    np.testing.assert_allclose(weights, expected.weight_B, atol=1e-5)


def lines_of_the_docs(heading: str) -> str:
    """The first Python block of docs/models.md under a heading."""
    page = (ROOT / "docs" / "models.md").read_text()
    found = re.search(rf"^#+ {re.escape(heading)}$.*?^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert found, f"docs/models.md has no Python under '{heading}'"
    return found[1]


def test_the_lines_in_the_docs_rebuild_the_network_from_its_file(
    frame_faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = TrainedNetwork.of(saved_run(frame_faces, tmp_path / "run", backbone="tiny_lstm"))
    (tmp_path / "model.safetensors").write_bytes(export(trained, "torch").content)
    monkeypatch.chdir(tmp_path)
    clip = torch.randn(2, 4, 3, 64, 64)
    names: dict[str, Any] = {"clip": clip}
    exec(lines_of_the_docs("For torch"), names)
    with trained.network() as network, torch.no_grad():
        expected = network(clip)
    assert torch.equal(names["probabilities"], expected.logits_BK.softmax(dim=1))
    assert torch.equal(names["weight"], expected.weight_B)


def test_the_weights_are_the_averaged_ones_which_the_run_is_evaluated_by(frame_faces: Dataset, tmp_path: Path) -> None:
    trained = TrainedNetwork.of(saved_run(frame_faces, tmp_path / "run", backbone="tiny_lstm"))
    tensors, record = read_safetensors(export(trained, "torch").content, tmp_path)
    last = trained.content["model"]
    names = [name for name in last if "num_batches" not in name and "running" not in name]
    averages = dict(zip(names, trained.content["average"].values(), strict=False))
    assert torch.equal(tensors["classifier.weight"], averages["classifier.weight"])
    assert not torch.equal(tensors["classifier.weight"], last["classifier.weight"])
    assert record["network"]["weights"] == "averaged"
    plain = TrainedNetwork.of(saved_run(frame_faces, tmp_path / "plain", backbone="tiny_lstm", average=0.0))
    tensors, record = read_safetensors(export(plain, "torch").content, tmp_path)
    assert torch.equal(tensors["classifier.weight"], plain.content["model"]["classifier.weight"])
    assert record["network"]["weights"] == "last"


def read_safetensors(content: bytes, folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    (folder / "file").write_bytes(content)
    with safe_open(folder / "file", "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["sciu"])  # noqa: SIM118 - no dict


def test_another_training_begins_with_it_and_its_classes_are_known(finished_run: Path, tmp_path: Path) -> None:
    trained = TrainedNetwork.of(finished_run)
    path = tmp_path / "model.safetensors"
    path.write_bytes(export(trained, "torch").content)
    classes = trained.card.dataset.classes
    network = SciuModel(build_backbone("tiny_lstm"), len(classes), "mlp")
    loaded = load_weights(network, path, Classes([*reversed(classes)]))
    assert loaded.remark == "the classifier's rows were put into the order of this dataset's classes"
    assert not loaded.missing
    with trained.network() as exported:
        assert torch.equal(network.classifier.weight, exported.classifier.weight.flip(0))


@pytest.mark.parametrize("form", ["torch", "onnx"])
def test_the_record_has_the_classes_whatever_they_are_called_and_no_path_of_this_machine(
    frame_faces: Dataset, tmp_path: Path, form: str
) -> None:
    (tmp_path / "net.py").write_text(OWN)
    run = saved_run(frame_faces, tmp_path / "run", backbone=f"{tmp_path}/net.py:Net", method="plain")
    names = ['=1+"1"', "über\nZeile", "喜び", "<b>", " ", "a,b", "\x1b[31m"]
    card = json.loads((run / "run.json").read_text())
    card["dataset"]["classes"] = names
    (run / "run.json").write_text(json.dumps(card))
    exported = export(TrainedNetwork.of(run), form)
    if form == "torch":
        _, record = read_safetensors(exported.content, tmp_path)
    else:
        record = json.loads(session_of(exported).get_modelmeta().custom_metadata_map["sciu"])
    assert record == json.loads(json.dumps(exported.record))
    assert record["classes"] == names
    assert record["network"]["backbone"] == "net.py:Net"
    assert len(record["network"]["backbone_sha256"]) == 64
    assert "weight" not in record["outputs"], "the method has no weight head"
    assert str(ROOT).encode() not in exported.content
    assert str(tmp_path).encode() not in exported.content


def test_a_network_that_branches_is_refused_as_onnx_in_one_line_and_written_for_torch(
    frame_faces: Dataset, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.py").write_text(BRANCHING)
    trained = TrainedNetwork.of(saved_run(frame_faces, tmp_path / "run", backbone=f"{tmp_path}/net.py:Net"))
    with pytest.raises(ModelError, match=r"'net.py:Net' cannot be written as ONNX: .*branch.*--format torch") as raised:
        export(trained, "onnx")
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
    assert export(trained, "torch").content


def test_what_does_not_fit_into_a_file_of_onnx_and_missing_packages_are_said_before_any_work(
    finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = TrainedNetwork.of(finished_run)
    monkeypatch.setattr(exporting, "_translated", lambda *_: pytest.fail("it was translated"))
    monkeypatch.setattr(exporting, "_MOST_BYTES", 1000)
    with pytest.raises(SettingError, match=r"below 2 GiB, but the weights are [\d,]+ bytes. Use --format torch"):
        export(trained, "onnx")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(SettingError, match=r"lacks onnxscript. Install them: `pip install onnx onnxscript`"):
        export(trained, "onnx")


def test_a_run_in_bf16_is_exported_in_float32_and_says_nearly_the_same(
    finished_run: Path, frame_faces: Dataset, tmp_path: Path
) -> None:
    run = copy_of(finished_run, tmp_path / "run")
    card = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**card, "settings": {**card["settings"], "amp": "bf16"}}))
    with Predictor.load(run, device="cpu") as predictor:
        (said,) = predictor([frame_faces.path(0)])
    exported = export(TrainedNetwork.of(run), "onnx")
    frames = EXAMPLE["frames_of"](frame_faces.path(0), exported.record["clip"])
    probabilities, _ = session_of(exported).run(None, {"frames": frames})
    np.testing.assert_allclose(probabilities[0], [*said.probabilities.values()], atol=0.02)
    assert probabilities.dtype == np.float32


@given(
    how=st.sampled_from([*SAMPLINGS]), T=st.integers(1, 24), n=st.integers(1, 3000), stride=st.integers(1, 9),
    views=st.integers(1, 5),
)  # fmt: skip
def test_the_example_takes_the_frames_that_a_run_takes(how: str, T: int, n: int, stride: int, views: int) -> None:
    T += how == "segment2" and T % 2
    views = 1 if how == "uniform" else views
    sampling, record = Sampling(frames=T, how=how, stride=stride), {"frames": T, "sampling": how, "stride": stride}
    for view in range(views):
        expected = sampling.numbers(np.array([n], np.int32), np.full((1, T), (view + 0.5) / views))[0]
        assert EXAMPLE["frame_numbers"](n, {**record, "views": views}, view).tolist() == expected.tolist()
