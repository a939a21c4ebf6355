"""All settings of a training: one flat list of names, as flags, TOML keys and columns of a run."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar, get_type_hints

from sciu.models.own import absolute
from sciu.pipeline.errors import SettingError, require
from sciu.pipeline.feed.files import DECODES
from sciu.pipeline.feed.plan.augmentation import CROPS, Augmentation
from sciu.pipeline.feed.plan.sampling import SAMPLINGS, Sampling
from sciu.pipeline.train.config.methods import METHODS, policy_of
from sciu.pipeline.train.config.schedule import SHAPES, Schedule
from sciu.purification.errors import PolicyError

Value = TypeVar("Value")


def setting(
    default: Value,
    about: str,
    *,
    choices: tuple[str, ...] = (),
    between: tuple[float, float] | None = None,
    below_1: bool = False,
    flag: bool | str = False,
    may_change: bool = False,
) -> Value:
    """Describe a setting.

    Numbers are `between` two bounds, both allowed, or a share `below_1`. `flag` gives the setting its own option,
    perhaps by another name. A setting that `may_change` when a run is resumed does not change its results.
    """
    metadata = {
        "about": about, "choices": choices, "between": between, "below_1": below_1, "flag": flag,
        "may_change": may_change,
    }  # fmt: skip
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train."""

    # ---- method and run
    method: str = setting(
        "auto",
        "Choose what is done about noisy clips: auto, sciu and scn clean; elr resists; plain, sce and mae only train.",
        choices=tuple(METHODS),
        flag=True,
    )
    cgp: bool = setting(
        True, "Method sciu: prune unusable clips (coarse-grained pruning), by `--set prune_below`.", flag=True
    )
    fgc: bool = setting(
        True, "Method sciu: correct wrong labels (fine-grained correction), by `--set correct_above`.", flag=True
    )
    fold: int = setting(1, "Train on this fold of the dataset.", flag=True)
    backbone: str = setting(
        "resnet18_lstm",
        "Name a backbone, or your own as package.module:Class or file.py:Class; `list` shows all.",
        flag=True,
    )
    backbone_may_change: bool = setting(
        False, "Resume the run although the source of your own backbone has changed.", may_change=True
    )
    weights: str = setting(
        "", "Load pretrained weights from a file or a run, or `imagenet` from torchvision.", flag=True
    )
    labels_from: str = setting(
        "", "Train on the clips and labels that a finished run ended with, or that a .npy file gives.", flag=True
    )
    seed: int = setting(0, "Set the seed of all random numbers.", flag=True)

    # ---- clips
    pipeline: str = setting("dali", "Choose what decodes the clips.", choices=("dali", "torch", "synthetic"), flag=True)
    batch_size: int = setting(32, "Put this many clips in a batch on each GPU.", between=(1, 65_536), flag=True)
    accumulate: int = setting(
        1,
        "Change the weights after this many batches, by the gradient of all of their clips, without a CUDA graph.",
        between=(1, 65_536),
        flag=True,
    )
    frames: int = setting(16, "Take this many frames from each clip.", between=(1, 4096), flag=True)
    size: int = setting(
        0,
        "Scale frames to this width and height in pixels; 0 takes the backbone's size.",
        between=(0, 4096),
        flag=True,
    )
    sampling: str = setting(
        "segment",
        "Sample frames as " + ", or as ".join(f"{name} ({about})" for name, about in SAMPLINGS.items()) + ".",
        choices=tuple(SAMPLINGS),
        flag=True,
    )
    stride: int = setting(2, "Dense sampling: take every Nth frame.")
    crop: str = setting("resized", "Choose how frames are cropped in training.", choices=tuple(CROPS))
    flip: float = setting(0.5, "Mirror a clip with this probability.")
    rotation: float = setting(0.0, "Rotate a clip by at most this many degrees.")
    brightness: float = setting(0.0, "Scale the brightness by 1 - this to 1 + this.")
    contrast: float = setting(0.0, "Scale the contrast by 1 - this to 1 + this.")
    cache: str = setting(
        "auto", "Keep decoded clips: auto, off, 8G in host memory, or gpu:8G in GPU memory.", flag=True, may_change=True
    )
    decode: str = setting("auto", "Choose where DALI decodes while the GPU trains.", choices=DECODES, flag=True)
    threads: int = setting(
        0, "Decode with this many threads; 0 takes one per core.", between=(0, 1024), flag=True, may_change=True
    )
    max_faulty: float = setting(
        0.02,
        "Stop when more than this share of the clips cannot be decoded.",
        between=(0, 1),
        flag=True,
        may_change=True,
    )

    # ---- learning
    epochs: int = setting(200, "Train for this many epochs.", between=(1, 1_000_000), flag=True)
    optimiser: str = setting("sgd", "Choose SGD with momentum, as in the paper, or AdamW.", choices=("sgd", "adamw"))
    lr: float = setting(0.01, "Set the peak learning rate.", between=(0, 1e9), flag=True)
    momentum: float = setting(0.9, "Set the momentum of SGD.", below_1=True)
    weight_decay: float = setting(1e-4, "Set the weight decay, for all weights.", between=(0, 1e9))
    schedule: str = setting("cosine", "Choose how the learning rate falls.", choices=tuple(SHAPES))
    lr_warmup: float = setting(0.0, "Raise the learning rate from 0 during this many epochs.")
    decay: float = setting(
        0.1, "Schedules step and exponential: multiply the learning rate by this every `decay_every` epochs."
    )
    decay_every: float = setting(
        40.0, "Schedules step and exponential: multiply the learning rate by `decay` after this many epochs."
    )
    label_smoothing: float = setting(0.0, "Smooth the labels of cross entropy by this much.", below_1=True)
    clip_gradients: float = setting(0.0, "Clip the norm of the gradients at this value; 0 does not.", between=(0, 1e9))
    average: float = setting(
        0.99,
        "Evaluate an exponential average of the weights with this decay per step; 0 evaluates the weights.",
        below_1=True,
        flag="weights-average",
    )
    class_balance: str = setting(
        "none", "Weight each class's loss by how rare the class is.", choices=("none", "sqrt", "inverse")
    )

    # ---- purification
    prune_below: float | str = setting(
        0.7, "Method sciu: prune clips whose score is not above this (lambda); `auto` derives it."
    )
    correct_above: float | str = setting(
        0.2, "Method sciu: correct labels that another class beats by more than this (tau); `auto` derives it."
    )
    window: int = setting(3, "Average the scores of this many epochs (t).")
    warmup: int = setting(10, "Methods sciu and scn: let this many epochs end before the first decision.")
    confidence: str = setting(
        "predicted",
        "Method sciu: prune by the score of the predicted class, or of the label.",
        choices=("predicted", "label"),
    )
    revive_every: int = setting(0, "Methods auto and sciu: score pruned clips again every N epochs; 0 never does.")
    keep_per_class: float = setting(0.5, "Methods auto, sciu and scn: keep at least this share of each class.")
    max_pruned: float = setting(0.6, "Methods auto and sciu: never prune more than this share of all clips.")
    scores: str = setting(
        "plain", "Score by softmax(z), or by softmax(w z) with the clip's weight w.", choices=("plain", "weighted")
    )
    pull: float = setting(
        3.0, "Pull predictions this strongly towards earlier ones, where labels are noisy (auto) or always (elr)."
    )
    sure: float = setting(0.9, "Method auto: correct a label if another class has at least this probability.")
    relabel_above: float = setting(0.2, "Method scn: relabel if another class is more probable by this much.")
    low_share: float = setting(
        1.0, "Method scn: relabel only among the clips with the lowest weights, this share of them."
    )
    rank_margin: float = setting(
        0.07, "Method scn: set the margin of the rank regularisation; 0.15 suits batches of 1,024.", between=(0, 1)
    )
    rank_beta: float = setting(0.7, "Method scn: rank this share of a batch above the rest.", between=(0, 1))

    # ---- the machine
    amp: str = setting("auto", "Choose the mixed precision.", choices=("auto", "bf16", "fp16", "off"), flag=True)
    cuda_graph: str = setting(
        "auto", "Capture the whole step as a CUDA graph and replay it.", choices=("auto", "on", "off"), flag=True
    )
    compile: str = setting("auto", "Compile the network with torch.compile.", choices=("auto", "on", "off"), flag=True)
    device: str = setting("auto", "Train on this device: auto, cpu, cuda or cuda:N.", flag=True)
    sync_batchnorm: bool = setting(False, "Compute BatchNorm's statistics over the batches of all GPUs.")
    profile: bool = setting(
        False,
        "Write what is done in a few steps to RUN/trace.json, for https://ui.perfetto.dev, unless it exists.",
        flag=True,
        may_change=True,
    )
    deterministic: bool = setting(
        False, "Give the same bits each time: slower algorithms on a GPU, a fixed number of threads on a CPU."
    )

    network_store: bool = setting(
        False, "Keep the store on a network file system, where LMDB may lose data.", may_change=True
    )

    # ---- evaluation and reports
    validation: float = setting(
        0.0, "Hold out this share of the training clips to choose the best epoch by.", below_1=True, flag=True
    )
    evaluate_every: int = setting(
        1, "Evaluate every N epochs, and always after the last.", between=(1, 1_000_000), flag=True
    )
    patience: int = setting(
        0,
        "Stop once the clips that choose the best epoch (without --validation the test clips) have not improved for"
        " this many evaluations; 0 never does.",
        between=(0, 1_000_000),
        flag=True,
        may_change=True,
    )
    views: int = setting(
        1, "Average the predictions for this many views (frame samplings) of a test clip.", between=(1, 64), flag=True
    )
    keep: int = setting(
        2,
        "Keep the checkpoints of this many epochs, beside the last and the best.",
        between=(1, 1_000_000),
        may_change=True,
    )
    previews: int = setting(
        8, "Show this many pruned and corrected clips per epoch in TensorBoard.", between=(0, 64), may_change=True
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            _check_range(each.name, getattr(self, each.name), each.metadata)
        require(0 <= self.seed < 1 << 63, "seed", "at least 0 and below 2^63", self.seed)
        self._check_together()
        self.sampling_of_frames()
        self.augmentation()
        self.lr_schedule()
        self.requested_cache()
        try:
            policy_of(self)
        except PolicyError as error:
            raise SettingError(str(error)) from error

    def _check_together(self) -> None:
        uses = METHODS[self.method].uses
        smooths = "label_smoothing" in uses or not self.label_smoothing
        require(smooths, "label_smoothing", f"0 with {self.method}", self.label_smoothing)
        if not {"cgp", "fgc"} <= {*uses} and not (self.cgp and self.fgc):
            raise SettingError(
                f"--no-cgp and --no-fgc apply to method sciu only, but the method is {self.method}. Remove them."
            )
        require(self.views == 1 or self.sampling != "uniform", "views", "1 with uniform sampling", self.views)
        captured = self.cuda_graph == "on" and self.accumulate > 1
        require(not captured, "cuda_graph", f"off or auto with --accumulate {self.accumulate}", self.cuda_graph)
        only_dali = self.pipeline == "dali" or self.cache in ("auto", "off")
        require(only_dali, "cache", f"off with --pipeline {self.pipeline}", self.cache)
        only_dali = self.pipeline == "dali" or self.decode == "auto"
        require(only_dali, "decode", f"auto with --pipeline {self.pipeline}", self.decode)

    def sampling_of_frames(self) -> Sampling:
        """Return how frames are sampled."""
        return Sampling(how=self.sampling, frames=self.frames, stride=self.stride)

    def augmentation(self) -> Augmentation:
        """Return the random changes of pixels."""
        return Augmentation(
            crop=self.crop, flip=self.flip, rotation=self.rotation, brightness=self.brightness, contrast=self.contrast
        )

    def lr_schedule(self) -> Schedule:
        """Return the schedule of the learning rate."""
        return Schedule(
            peak=self.lr, epochs=self.epochs, shape=self.schedule, warmup=self.lr_warmup,
            decay=self.decay, every=self.decay_every,
        )  # fmt: skip

    def requested_cache(self) -> tuple[str, int] | None:
        """Return the memory, `cpu` or `gpu`, and the bytes that are requested of it; None for auto and off."""
        if self.cache in ("auto", "off"):
            return None
        found = _CACHE.fullmatch(self.cache)
        require(found is not None, "cache", "auto, off, 8G or gpu:8G", repr(self.cache))
        assert found is not None
        place, amount, unit = found.groups()
        return (place or "cpu").lower(), int(float(amount) * _UNITS[unit.upper()])


_CACHE = re.compile(r"(?:(cpu|gpu)?:)?(\d{0,9}\.?\d{1,9})([kmgt])(?:i?b)?", re.IGNORECASE | re.ASCII)
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def _check_range(name: str, value: Any, described: Mapping[str, Any]) -> None:
    choices, between = described["choices"], described["between"]
    require(not choices or value in choices, name, f"one of {', '.join(choices)}", repr(value))
    if between:
        require(between[0] <= value <= between[1], name, f"{between[0]} to {between[1]:,}", value)
    if described["below_1"]:
        require(0 <= value < 1, name, "at least 0 and below 1", value)
    require(not isinstance(value, float) or math.isfinite(value), name, "a finite number", value)


TYPES: dict[str, Any] = get_type_hints(Settings)


def by_name() -> dict[str, Field[Any]]:
    """Return the settings' fields, with their descriptions, by name."""
    return {each.name: each for each in fields(Settings)}


def checked(name: str, value: Any) -> Any:
    """Return a value in its setting's type; raise if the setting does not exist or the type is wrong."""
    if name not in TYPES:
        raise SettingError(f"{name!r} is not a setting; --print-config shows all.{_close(name)}")
    kind = TYPES[name]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind not in (str, int, float, bool):  # a threshold
        require(value == "auto" or _is_number(value), name, "a number or auto", repr(value))
        return value if value == "auto" else float(value)
    require(type(value) is kind, name, f"a {_WORDS[kind]}", repr(value))
    return absolute(value) if name == "backbone" else value


_WORDS = {str: "text", int: "whole number", float: "number", bool: "truth value, true or false"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def meant(name: str) -> list[str]:
    """Return the settings that a user may have meant by another name."""
    from difflib import get_close_matches

    usual = _USUAL_NAMES.get(name.removeprefix("num_"))
    return [usual] if usual else get_close_matches(name, TYPES, n=3)


_USUAL_NAMES = {
    "learning_rate": "lr", "optimizer": "optimiser", "optim": "optimiser", "batch": "batch_size", "epoch": "epochs",
    "model": "backbone", "workers": "threads", "wd": "weight_decay", "scheduler": "schedule", "gpu": "device",
}  # fmt: skip
"""What other trainers call a setting."""


def _close(name: str) -> str:
    close = meant(name)
    return f" Did you mean {' or '.join(close)}?" if close else ""
