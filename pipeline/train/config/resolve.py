"""Resolve settings from layers, later ones over earlier ones, and record where each value came from."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w

from sciu.pipeline.errors import SettingError, require
from sciu.pipeline.train.config.methods import users_of
from sciu.pipeline.train.config.presets import PRESETS
from sciu.pipeline.train.config.settings import Settings, by_name, checked
from sciu.pipeline.train.errors import RunError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_RUN, _SHORTENED = "the run", ", shortened"


@dataclass(frozen=True)
class Resolved:
    """All settings, and the origin of each."""

    settings: Settings
    origins: dict[str, str]

    def remarks(self) -> list[str]:
        """Return what of the presets in use is published and what is ours, and which settings have no effect."""
        presets = (origin for origin in self.origins.values() if origin.startswith("preset "))
        used = {origin.removeprefix("preset ").partition(_SHORTENED)[0] for origin in presets}
        idle = [
            name for name in self.origins
            if self.settings.method not in users_of(name) and self._given(name)
        ]  # fmt: skip
        warmup = self.origins["lr_warmup"]
        return [
            *(PRESETS[name].source for name in sorted(used)),
            *[f"lr_warmup is {self.settings.lr_warmup:g}: {warmup}"]
            * (_SHORTENED in warmup and not self.of_run("lr_warmup")),
            *(
                f"{name} has no effect with method {self.settings.method}, only with {' and '.join(users_of(name))}"
                for name in idle
            ),
        ]

    def of_run(self, name: str) -> bool:
        """Return whether a setting is that of the run that is resumed, and was not given again."""
        return self.origins[name].startswith(_RUN)

    def _given(self, name: str) -> bool:
        """Return whether a user gave a value, now or when the run was begun, which not every run knows."""
        return not self.origins[name].removeprefix(f"{_RUN}: ").startswith(("default", "preset ", _RUN))

    def toml(self) -> str:
        """Return a file that --config takes; each line says where its value came from."""
        lines = tomli_w.dumps(asdict(self.settings)).splitlines()
        width, described = max(map(len, lines)) + 2, by_name()
        names = [line.split(" = ")[0] for line in lines]
        remarks = [f"{self.origins[name]}. {described[name].metadata['about']}" for name in names]
        return "".join(f"{line:<{width}}# {remark}\n" for line, remark in zip(lines, remarks, strict=True))


def resolve(layers: Sequence[tuple[str, Mapping[str, Any]]]) -> Resolved:
    """Apply layers over the defaults; each is an origin and its settings."""
    values: dict[str, Any] = {}
    origins = dict.fromkeys(by_name(), "default")
    for origin, layer in layers:
        for name, value in layer.items():
            found = checked(name, value)
            if not origins[name].startswith(f"{_RUN}: {origin}{_SHORTENED}"):  # the run has the same, as it fits
                values[name], origins[name] = found, origin
    _shorten_warmup(values, origins)
    return Resolved(Settings(**values), origins)


def _shorten_warmup(values: dict[str, Any], origins: dict[str, str]) -> None:
    """Let the warm-up of a preset take half of the epochs if there are too few for it."""
    epochs, warmup = values.get("epochs", by_name()["epochs"].default), values.get("lr_warmup", 0.0)
    if origins["lr_warmup"].startswith("preset ") and 1 <= epochs <= warmup:
        values["lr_warmup"] = epochs / 2
        origins["lr_warmup"] += f"{_SHORTENED} from {warmup:g} to fit --epochs {epochs}"


def run_layers(settings: Settings, origins: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Return the settings of a run that is resumed, each with its origin when the run was begun, if that is known."""
    values = asdict(settings).items()
    return [(f"{_RUN}: {origins[name]}" if name in origins else _RUN, {name: value}) for name, value in values]


def preset_layer(name: str) -> tuple[str, dict[str, Any]]:
    """Return a preset's settings."""
    require(name in PRESETS, "preset", f"one of {', '.join(PRESETS)}", repr(name))
    return f"preset {name}", PRESETS[name].settings


def file_layer(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a TOML file's settings."""
    try:
        return str(path), tomllib.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number of 5,000 digits
        raise SettingError(f"'{path}' must be a TOML file of settings, but is not: {error}. Fix it.") from error


def assignment_layer(assignments: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the settings in --set: `key=value`, the value in TOML; strings need no quotes."""
    return "--set", dict(_assignment(text) for text in assignments)


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    require(bool(equals), "--set", "key=value", repr(text))
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except ValueError:
        return name.strip(), value.strip()


def require_same(saved: Mapping[str, Any], wanted: Mapping[str, Any], run: Path) -> None:
    """Raise if the settings differ from those that the run was begun with; show both, and what to do instead."""
    differing = [name for name in saved.keys() | wanted.keys() if saved.get(name) != wanted.get(name)]
    if differing:
        shown = "; ".join(
            f"{name}: {saved.get(name)!r} in the run, {wanted.get(name)!r} now" for name in sorted(differing)
        )
        raise RunError(
            f"a run must be resumed with the settings that it was begun with, but: {shown}. Leave them out, or begin a"
            f" new run with these settings from its weights: --out NEW --weights '{run}'. Only --epochs may be raised."
        )


def lasting(settings: Settings) -> dict[str, Any]:
    """Return the settings that may not change when a run is resumed."""
    described = by_name()
    return {name: value for name, value in asdict(settings).items() if not described[name].metadata["may_change"]}
