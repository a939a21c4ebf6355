"""The layout of a run's folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.errors import SettingError
from sciu.pipeline.train.config.settings import by_name
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.reading import read
from sciu.pipeline.train.record.run_card import FORMAT, RunCard

_KEYS = {"format", "run", "settings", "dataset", "store", "held_out"}


@dataclass(frozen=True)
class RunFolder:
    """A run's folder. One with a `run.json` was created completely."""

    path: Path

    @property
    def card(self) -> Path:
        """The run's card."""
        return self.path / "run.json"

    @property
    def settings(self) -> Path:
        """The run's settings, for `--config`."""
        return self.path / "settings.toml"

    @property
    def store(self) -> Path:
        """The purifier's store."""
        return self.path / "purifier"

    @property
    def index(self) -> Path:
        """The published indexes."""
        return self.path / "index"

    @property
    def checkpoints(self) -> Path:
        """The checkpoints."""
        return self.path / "checkpoints"

    @property
    def backbone(self) -> Path:
        """The sources of a user's own backbone."""
        return self.path / "backbone"

    @property
    def trace(self) -> Path:
        """What is done in a few steps, for Perfetto."""
        return self.path / "trace.json"

    @property
    def summary(self) -> Path:
        """The epochs that have ended, in numbers."""
        return self.path / "summary.json"

    @property
    def log(self) -> Path:
        """The epochs that have ended, a line each."""
        return self.path / "log.jsonl"

    @property
    def tensorboard(self) -> Path:
        """The event files."""
        return self.path / "tensorboard"

    def read(self) -> RunCard | None:
        """Return the run's card, None if the folder is missing or empty."""
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            return None
        return self.require()

    def write(self, card: RunCard) -> None:
        """Write the run's card."""
        write_atomically(self.card, (json.dumps(card.to_json(), indent=2, ensure_ascii=False) + "\n").encode())

    def require(self) -> RunCard:
        """Return the card of a run that must exist."""
        try:
            content: Any = json.loads(self.card.read_text("utf-8"))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            lacks = "has no run.json" if self.path.exists() else "does not exist"
            raise RunError(f"'{self.path}' must be a run, but {lacks}. Is it the right folder?") from None
        except (ValueError, RecursionError) as error:
            raise RunError(f"'{self.card}' must be JSON, but is damaged: {error}. Start a new run.") from None
        if not isinstance(content, dict) or not content.keys() >= _KEYS:
            raise RunError(f"'{self.card}' must hold {', '.join(sorted(_KEYS))}, but does not. Start a new run.")
        if content["format"] != FORMAT:
            raise RunError(f"'{self.card}' must be of format {FORMAT}, but is of {content['format']}. Update sciu.")
        try:
            settings = read(dict[str, Any], content["settings"], "settings")
            if unknown := sorted(settings.keys() - by_name().keys()):
                raise RunError(f"'{self.card}' has settings that this version does not know: {unknown}. Update sciu.")
            return RunCard.from_json(content)
        except SettingError as error:
            raise RunError(f"'{self.card}' has a setting that is unknown here: {error} Update sciu.") from error
        except TypeError as error:
            raise RunError(f"'{self.card}' is damaged: {error}. Start a new run.") from error
