"""A trained network as a file for use elsewhere, which records how clips become its input.

safetensors holds the weights for torch. ONNX holds the whole network, from bytes to probabilities.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from sciu.models.errors import ModelError
from sciu.models.own import with_file
from sciu.models.sciu_model import SciuModel
from sciu.pipeline.errors import SettingError, first_line
from sciu.pipeline.train.config.methods import METHODS
from sciu.pipeline.train.run.build import size_of
from sciu.pipeline.train.run.trained_run import TrainedNetwork
from sciu.pipeline.train.step.step import MEAN, STD, Pixels

FORMAT = 1
OPSET = 18  # onnxruntime reads it since 1.14, of 2023
_MOST_BYTES = (1 << 31) - (1 << 24)  # of an ONNX file, which is one protobuf message; some of them for the graph
_TRACED = 2  # clips; a batch of 1 would be taken for the only one

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The content of a file, and the record in it."""

    content: bytes
    record: Record


def export(trained: TrainedNetwork, form: str) -> Exported:
    """Return a network as a file of one of the `FORMATS`."""
    how = FORMATS[form]
    record = {**_record(trained), **how.interface(trained)}
    with trained.network() as network, torch.no_grad():
        return Exported(content=how.write(network, record), record=record)


def _record(trained: TrainedNetwork) -> Record:
    """Return what is to be known of a network to use it, and where it comes from; no path of this machine."""
    settings, card = trained.settings, trained.card
    size = size_of(settings)
    return {
        "format": FORMAT,
        "classes": card.dataset.classes,
        "clip": {
            "frames": settings.frames, "sampling": settings.sampling, "stride": settings.stride,
            "views": settings.views, "crop": "centred square",
            "crop_at_most": size if settings.crop == "shifted" else None, "size": size,
            "resize": "bilinear, antialiased", "colours": "RGB", "mean": MEAN, "std": STD,
        },
        "network": {
            "backbone": with_file(settings.backbone, lambda path: Path(path.name)),
            "backbone_sha256": trained.content.get("backbone", ""),
            "weight_head": METHODS[settings.method].weight_head,
            "weights": "averaged" if settings.average else "last",
        },
        "run": {
            "id": card.run, "method": settings.method, "dataset": card.dataset.name, "epoch": trained.epoch,
            "step": trained.step,
        },
        "versions": {"sciu": metadata.version("sciu"), "torch": torch.__version__},
    }  # fmt: skip


def _weight(trained: TrainedNetwork) -> Record:
    """Describe the output of the weight head, if the method has one."""
    has_none = METHODS[trained.settings.method].weight_head == "none"
    return {} if has_none else {"weight": "how much the clip is worth learning from, 0 to 1"}


# ---- safetensors


def _of_weights(trained: TrainedNetwork) -> Record:
    size = size_of(trained.settings)
    return {
        "input": {
            "name": "clip", "type": "float32", "layout": "BTCHW", "normalised": True,
            "shape": ["batch", trained.settings.frames, 3, size, size],
        },
        "outputs": {"logits": "of each class", **_weight(trained), "embedding": "what the backbone returns"},
    }  # fmt: skip


def _safetensors(network: SciuModel, record: Record) -> bytes:
    """Copy the tensors: some share their memory, or are in channels-last order, which the format does not know."""
    held = network.state_dict()
    tensors = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in held.items()}
    return save(tensors, {"sciu": json.dumps(record)})


# ---- ONNX


class _FromBytes(nn.Module):
    """Frames as they are decoded -> probabilities, and the weight if the method has a head for it."""

    def __init__(self, network: SciuModel) -> None:
        super().__init__()
        self.pixels, self.network = Pixels(torch.device("cpu")), network

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Normalise inside, so that nobody has to."""
        output = self.network(self.pixels(frames))
        probabilities = output.logits_BK.softmax(dim=1)
        return (probabilities,) if self.network.weight_head is None else (probabilities, output.weight_B)


def _of_graph(trained: TrainedNetwork) -> Record:
    size = size_of(trained.settings)
    return {
        "input": {
            "name": "frames", "type": "uint8", "layout": "BTHWC", "normalised": False,
            "shape": ["batch", trained.settings.frames, size, size, 3],
        },
        "outputs": {"probabilities": "of each class, 0 to 1", **_weight(trained)}, "opset": OPSET,
    }  # fmt: skip


def _onnx(network: SciuModel, record: Record) -> bytes:
    """Trace the network in float32 and translate it, without what the exporter notes of this machine's files."""
    _require_packages()
    from onnx_ir.traversal import RecursiveGraphIterator

    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    if size > _MOST_BYTES:
        raise SettingError(f"an ONNX file must be below 2 GiB, but the weights are {size:,} bytes. Use --format torch.")
    with _in_silence():
        program = _translated(_FromBytes(network).eval(), record)
    graph = program.model.graph
    for part in (graph, *RecursiveGraphIterator(graph), *graph.initializers.values()):
        part.metadata_props.clear()
    program.model.metadata_props["sciu"] = json.dumps(record)
    content: bytes = program.model_proto.SerializeToString()
    return content


@contextmanager
def _in_silence() -> Iterator[None]:
    """Drop what torch and the exporter warn, log and print of themselves: a failure would be 200 lines, ours is one."""
    unheard, before = io.StringIO(), logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings(), redirect_stdout(unheard), redirect_stderr(unheard):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _require_packages() -> None:
    if missing := [name for name in ("onnx", "onnxscript") if find_spec(name) is None]:
        raise SettingError(
            f"--format onnx must have the packages onnx and onnxscript, but lacks {' and '.join(missing)}."
            " Install them: `pip install onnx onnxscript`."
        )


def _translated(network: nn.Module, record: Record) -> Any:
    _, *shape = record["input"]["shape"]
    frames = torch.zeros((_TRACED, *shape), dtype=torch.uint8)
    try:
        return torch.onnx.export(
            _traced(network, frames), (frames,), opset_version=OPSET, dynamic_shapes={"frames": {0: "batch"}},
            input_names=["frames"], output_names=[*record["outputs"]], verbose=False,
        )  # fmt: skip
    except MemoryError:
        raise
    except Exception as error:
        raise ModelError(
            f"backbone {record['network']['backbone']!r} cannot be written as ONNX: {_cause(error)}. Its forward must"
            " do the same for any number of clips, without branches on the values of tensors. Or use --format torch."
        ) from error


def _traced(network: nn.Module, frames: Tensor) -> torch.export.ExportedProgram:
    """Trace by running the network, or by reading its code, which takes some things that the other cannot."""
    batch = {"frames": {0: torch.export.Dim("batch", min=1)}}
    try:
        return torch.export.export(network, (frames,), dynamic_shapes=batch, strict=False)
    except Exception:  # noqa: BLE001 - the second way says what is wrong
        return torch.export.export(network, (frames,), dynamic_shapes=batch, strict=True)


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {first_line(error)}".rstrip(".")


@dataclass(frozen=True)
class _Format:
    interface: Callable[[TrainedNetwork], Record]
    write: Callable[[SciuModel, Record], bytes]


FORMATS = {"torch": _Format(_of_weights, _safetensors), "onnx": _Format(_of_graph, _onnx)}
