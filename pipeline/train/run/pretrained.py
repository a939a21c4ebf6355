"""The weights that a training starts from: torchvision's, those in a file, or those of another run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sciu.models.errors import ModelError
from sciu.models.sciu_model import SciuModel
from sciu.models.weights import Classes, load_imagenet, load_weights, require_file
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.checkpoints import Checkpoints
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.report.telemetry import Say


def load_pretrained(network: SciuModel, settings: Settings, classes: Sequence[str], say: Say) -> None:
    """Load the weights that the settings name, if they name any, and say what was loaded."""
    if not settings.weights:
        return
    if settings.weights == "imagenet":
        say(f"weights: {load_imagenet(network, settings.backbone)}")
        return
    path = _file_of(Path(settings.weights).expanduser())
    say(f"weights: '{path}': {load_weights(network, path, Classes(classes, _classes_beside(path)))}")


def require_weights(settings: Settings) -> None:
    """Raise if the weights that the settings name do not exist."""
    if settings.weights not in ("", "imagenet"):
        require_file(_file_of(Path(settings.weights).expanduser()))


def _file_of(path: Path) -> Path:
    """Return a weight file; of a run its last checkpoint, the fair choice: the best was chosen on other clips."""
    if not path.is_dir():
        return path
    run = RunFolder(path)
    if not run.card.is_file():
        raise ModelError(f"weights '{path}' must be a file or a run, but is a folder without a run.json. Name a file.")
    return Checkpoints(run.checkpoints).find("last")


def _classes_beside(path: Path) -> list[str] | None:
    """Return the classes of the run that a checkpoint lies in: those of earlier versions do not name them."""
    run = RunFolder(path.absolute().parent.parent)
    if path.absolute().parent == run.checkpoints:
        with suppress(RunError):
            return run.require().dataset.classes
    return None
