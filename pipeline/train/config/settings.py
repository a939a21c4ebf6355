"""Everything that a user can choose of a training: one flat list of names, as flags, TOML keys and columns of a run."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar, get_type_hints

from sciu.pipeline.errors import SettingError, require
from sciu.pipeline.feed.files.routes import DECODES
from sciu.pipeline.feed.plan.augmentation import CROPS, Augmentation
from sciu.pipeline.feed.plan.sampling import HOWS, Sampling
from sciu.pipeline.train.config.methods import METHODS
from sciu.pipeline.train.config.schedule import SHAPES, Schedule

Value = TypeVar("Value")

_RANGES: dict[str, tuple[float, float]] = {
    "batch_size": (1, 65_536), "frames": (1, 4096), "size": (0, 4096), "epochs": (1, 1_000_000), "views": (1, 64),
    "evaluate_every": (1, 1_000_000), "keep": (1, 1_000_000), "threads": (0, 1024), "previews": (0, 64),
    "lr": (0, 1e9), "weight_decay": (0, 1e9), "clip_gradients": (0, 1e9), "rank_margin": (0, 1), "rank_beta": (0, 1),
}  # fmt: skip


def setting(
    default: Value, about: str, *, choices: tuple[str, ...] = (), flag: bool | str = False, may_change: bool = False
) -> Value:
    """Describe a setting.

    `flag` gives it an option of its own, perhaps by another name; what `may_change` when a run goes on alters no bit.
    """
    told = {"about": about, "choices": choices, "flag": flag, "may_change": may_change}
    return field(default=default, metadata=told)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train."""

    # ---- what
    method: str = setting("auto", "What to do about noisy labels.", choices=tuple(METHODS), flag=True)
    cgp: bool = setting(True, "sciu: prune unusable clips (CGP).", flag=True)
    fgc: bool = setting(True, "sciu: correct wrong labels (FGC).", flag=True)
    fold: int = setting(1, "Which of the dataset's splits to train on.", flag=True)
    backbone: str = setting(
        "resnet18_lstm", "A network by name, your own as package.module:Class, or `list`.", flag=True
    )
    weights: str = setting("", "Pretrained weights: a file, or `imagenet`.", flag=True)
    labels_from: str = setting("", "A finished run: train on the clips and labels that it came to.", flag=True)
    seed: int = setting(0, "Seed of everything that is left to chance.", flag=True)

    # ---- clips
    pipeline: str = setting("dali", "What decodes the clips.", choices=("dali", "torch", "synthetic"), flag=True)
    batch_size: int = setting(32, "Clips in a step, on each GPU.", flag=True)
    frames: int = setting(16, "Frames taken of a clip.", flag=True)
    size: int = setting(0, "Width and height of frames in pixels; 0: what the backbone is meant for.", flag=True)
    sampling: str = setting("segment", "Which frames are taken.", choices=tuple(HOWS), flag=True)
    stride: int = setting(2, "Of dense sampling.")
    crop: str = setting("resized", "What of a frame is looked at.", choices=tuple(CROPS))
    flip: float = setting(0.5, "How often clips are mirrored.")
    rotation: float = setting(0.0, "Degrees, at most.")
    brightness: float = setting(0.0, "Times 1 - this to 1 + this.")
    contrast: float = setting(0.0, "Times 1 - this to 1 + this.")
    cache: str = setting("auto", "Decoded clips kept in memory: auto, off, 8G, or gpu:8G.", flag=True, may_change=True)
    decode: str = setting(
        "auto", "Where DALI decodes when the GPU trains: auto, cpu or gpu.", choices=DECODES, flag=True
    )
    threads: int = setting(0, "Threads that decode; 0: one a core.", flag=True, may_change=True)
    max_faulty: float = setting(0.02, "Share of undecodable clips above which a run stops.", flag=True, may_change=True)

    # ---- learning
    epochs: int = setting(200, "Epochs to train.", flag=True)
    optimiser: str = setting("sgd", "With momentum as in the paper, or adamw.", choices=("sgd", "adamw"))
    lr: float = setting(0.01, "The learning rate at its peak.", flag=True)
    momentum: float = setting(0.9, "Of sgd.")
    weight_decay: float = setting(1e-4, "Of all weights.")
    schedule: str = setting("cosine", "How the learning rate falls.", choices=tuple(SHAPES))
    lr_warmup: float = setting(0.0, "Epochs in which the learning rate rises.")
    decay: float = setting(0.1, "step, exponential: what remains of the rate ...")
    decay_every: float = setting(40.0, "... after this many epochs.")
    label_smoothing: float = setting(0.0, "Of cross entropy.")
    clip_gradients: float = setting(0.0, "Largest norm of the gradients; 0: any.")
    average: float = setting(
        0.99, "Decay a step of an average of the weights, which is evaluated; 0: none.", flag="weights-average"
    )
    class_balance: str = setting("none", "Weight of a class by how rare it is.", choices=("none", "sqrt", "inverse"))

    # ---- purification
    prune_below: float | str = setting(0.7, "lambda: a number, or auto.")
    correct_above: float | str = setting(0.2, "tau: a number, or auto.")
    window: int = setting(3, "t: epochs that are averaged.")
    warmup: int = setting(10, "Epochs that end before the first decision.")
    confidence: str = setting("predicted", "Whose score prunes.", choices=("predicted", "label"))
    revive_every: int = setting(0, "Epochs between two looks at pruned clips; 0: never.")
    keep_per_class: float = setting(0.5, "Share of each class that is never pruned.")
    max_pruned: float = setting(0.6, "Share of all clips that may be pruned.")
    scores: str = setting("plain", "p of softmax(z), or weighted: of softmax(w z).", choices=("plain", "weighted"))
    pull: float = setting(
        3.0, "auto: how strongly the loss pulls to earlier answers, where labels are noisy; elr: how strongly."
    )
    sure: float = setting(0.9, "auto: how probable another class must be for a label to be corrected.")
    relabel_above: float = setting(0.2, "scn: by how much another class must be more probable.")
    low_share: float = setting(1.0, "scn: share of lowest weights that may be relabelled.")
    rank_margin: float = setting(0.07, "scn: of the rank regularisation; .15 is for batches of 1,024.")
    rank_beta: float = setting(0.7, "scn: share of a batch that is to outweigh the rest.")

    # ---- the machine
    amp: str = setting("auto", "Mixed precision.", choices=("auto", "bf16", "fp16", "off"), flag=True)
    cuda_graph: str = setting(
        "auto", "Capture the whole step as a CUDA graph and replay it.", choices=("auto", "on", "off"), flag=True
    )
    compile: str = setting("auto", "Compile the network with torch.compile.", choices=("auto", "on", "off"), flag=True)
    device: str = setting("auto", "Where to train: auto, cpu, cuda or cuda:N.", flag=True)
    sync_batchnorm: bool = setting(False, "BatchNorm over the batches of all GPUs.")
    deterministic: bool = setting(False, "Slower algorithms that give the same bits on a GPU too.")

    network_store: bool = setting(
        False, "Keep the store on a network file system, where LMDB may lose data.", may_change=True
    )

    # ---- looking
    validation: float = setting(0.0, "Share of the training clips held out to choose the best epoch by.", flag=True)
    evaluate_every: int = setting(1, "Epochs between two evaluations; the last one always is.", flag=True)
    views: int = setting(1, "Looks at a test clip that are averaged.", flag=True)
    keep: int = setting(2, "Epochs whose checkpoints are kept, beside last and best.", may_change=True)
    previews: int = setting(8, "Pruned and corrected clips shown in TensorBoard, an epoch.", may_change=True)

    def __post_init__(self) -> None:
        for each in fields(self):
            choices, value = each.metadata["choices"], getattr(self, each.name)
            require(not choices or value in choices, each.name, f"one of {', '.join(choices)}", repr(value))
        self._check_ranges()
        self._check_together()
        self.sampling_of_frames()
        self.augmentation()
        self.lr_schedule()

    def _check_ranges(self) -> None:
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            require(least <= value <= most, name, f"{least} to {most:,}", value)
        for name in ("momentum", "label_smoothing", "average", "validation"):
            require(0 <= getattr(self, name) < 1, name, "at least 0 and below 1", getattr(self, name))
        require(0 <= self.seed < 1 << 63, "seed", "at least 0 and below 2^63", self.seed)

    def _check_together(self) -> None:
        uses = METHODS[self.method].uses
        smooths = "label_smoothing" in uses or not self.label_smoothing
        require(smooths, "label_smoothing", f"0 with {self.method}", self.label_smoothing)
        if not {"cgp", "fgc"} <= {*uses} and not (self.cgp and self.fgc):
            raise SettingError(
                f"--no-cgp and --no-fgc apply to method sciu only, but the method is {self.method}. Remove them."
            )
        require(self.views == 1 or self.sampling != "uniform", "views", "1 with uniform sampling", self.views)
        only_dali = self.pipeline == "dali" or self.cache in ("auto", "off")
        require(only_dali, "cache", f"off with --pipeline {self.pipeline}", self.cache)
        only_dali = self.pipeline == "dali" or self.decode == "auto"
        require(only_dali, "decode", f"auto with --pipeline {self.pipeline}", self.decode)

    def sampling_of_frames(self) -> Sampling:
        """Return which frames are taken."""
        return Sampling(how=self.sampling, frames=self.frames, stride=self.stride)

    def augmentation(self) -> Augmentation:
        """Return what chance does to pixels."""
        return Augmentation(
            crop=self.crop, flip=self.flip, rotation=self.rotation, brightness=self.brightness, contrast=self.contrast
        )

    def lr_schedule(self) -> Schedule:
        """Return how the learning rate goes."""
        return Schedule(
            peak=self.lr, epochs=self.epochs, shape=self.schedule, warmup=self.lr_warmup,
            decay=self.decay, every=self.decay_every,
        )  # fmt: skip


TYPES: dict[str, Any] = get_type_hints(Settings)


def by_name() -> dict[str, Field[Any]]:
    """Return the settings, as they are described."""
    return {each.name: each for each in fields(Settings)}


def checked(name: str, value: Any) -> Any:
    """Return a value of the type that the setting has; refuse names and types that there are not."""
    if name not in TYPES:
        raise SettingError(f"setting must be one of those that --print-config shows, but is {name!r}.{_close(name)}")
    kind = TYPES[name]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind not in (str, int, float, bool):  # a threshold
        require(value == "auto" or _is_number(value), name, "a number or auto", repr(value))
        return value if value == "auto" else float(value)
    require(type(value) is kind, name, f"a {_WORDS[kind]}", repr(value))
    return value


_WORDS = {str: "text", int: "whole number", float: "number", bool: "truth value, true or false"}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _close(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, TYPES, n=3)
    return f" Did you mean {' or '.join(close)}?" if close else ""
