"""The specification of a grid of runs: datasets, methods, backbones, seeds and settings."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sciu.pipeline.dataset.synth import Synth
from sciu.pipeline.errors import SettingError, require

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Layer = dict[str, Any]

GIVEN = "given"
OWN_LABELS = ("truth", "judged")  # of the truth; the second leaves out clips that nobody could judge
OF_ANOTHER = ("cleaned", "random")  # what another run kept; as many clips pruned at random
PART, PARTS = (
    "part",
    5,
)  # the labels given, but a fifth of the clips is kept from the network, which scores it at the end
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]*")
_TOP = {"name", "title", "settings", "backbones", "backbone", "seeds", "tuning_seeds", "keep_runs", "data", "method"}
_LISTS: dict[str, type] = {
    "backbones": str, "seeds": int, "tuning_seeds": int, "folds": int, "data": dict, "method": dict,
}  # fmt: skip
_SINGLE: dict[str, type] = {
    "name": str, "title": str, "settings": dict, "backbone": dict, "keep_runs": bool, "path": str, "synth": dict,
    "per_seed": bool, "labels": str, "of": str, "part": int,
}  # fmt: skip
_WORDS = {str: "text", int: "a whole number", bool: "true or false", dict: "a table"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A dataset: a folder, or SynthDFER that the harness paints itself."""

    name: str
    path: str = ""
    synth: Layer | None = None
    per_seed: bool = False  # another dataset of the same kind for every seed
    folds: tuple[int, ...] = ()
    settings: Layer = field(default_factory=dict)

    def painted(self, seed: int) -> Synth:
        """Return the dataset to paint for a seed."""
        wanted: Layer = {"codec": "mjpeg", **(self.synth or {}), **({"seed": seed} if self.per_seed else {})}
        return Synth(**wanted)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A method as a row of a table: settings, and which labels it begins with."""

    name: str
    labels: str = GIVEN
    of: str = ""  # the row whose run the labels come from
    part: int = 0  # which one is withheld from the network, from 1 on
    settings: Layer = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """A whole grid."""

    name: str
    title: str
    settings: Layer
    backbones: tuple[str, ...]
    by_backbone: dict[str, Layer]
    seeds: tuple[int, ...]
    tuning_seeds: tuple[int, ...]
    keep_runs: bool
    data: tuple[Source, ...]
    methods: tuple[Row, ...]


def read_spec(path: Path) -> Spec:
    """Read a spec; a mistake in it is an error of one line."""
    try:
        content = tomllib.loads(path.read_text("utf-8-sig"))
        return spec_of(content)
    except (FileNotFoundError, IsADirectoryError):
        raise SettingError(f"spec must be a file, but '{path}' is missing or a folder.") from None
    except SettingError as error:
        raise SettingError(f"'{path}': {error}") from None
    except (ValueError, RecursionError) as error:
        raise SettingError(f"'{path}' must be TOML, but is not: {error}. Correct it.") from error


def spec_of(content: Layer) -> Spec:
    """Return the spec of a file's content."""
    for name in content:
        require(name in _TOP, "a key of a spec", f"one of {', '.join(sorted(_TOP))}", repr(name))
    for name in ("name", "data", "method"):
        require(bool(content.get(name)), name, "given", "missing")
    _check_types(content)
    spec = Spec(
        name=str(content["name"]), title=str(content.get("title", content["name"])),
        settings=content.get("settings", {}), backbones=tuple(content.get("backbones", ["tiny_lstm"])),
        by_backbone=content.get("backbone", {}), seeds=tuple(content.get("seeds", [0])),
        tuning_seeds=tuple(content.get("tuning_seeds", [])), keep_runs=content.get("keep_runs", True),
        data=tuple(map(_source, content["data"])), methods=tuple(map(_row, content["method"])),
    )  # fmt: skip
    _check(spec)
    return spec


def _check_types(entry: Layer) -> None:
    for name, value in entry.items():
        if kind := _LISTS.get(name):
            right = isinstance(value, list) and all(type(each) is kind for each in value)
            require(right, name, f"a list, each of it {_WORDS[kind]}", repr(value))
        elif kind := _SINGLE.get(name):
            require(type(value) is kind, name, _WORDS[kind], repr(value))


def _source(entry: Layer) -> Source:
    _check_types(entry)
    rest = dict(entry)
    known = {name: rest.pop(name) for name in ("name", "path", "synth", "per_seed") if name in rest}
    require("name" in known, "[[data]]", "named", entry)
    require(not ("path" in known and "synth" in known), f"data {known['name']}", "a path or synth", "both")
    source = Source(**known, folds=tuple(rest.pop("folds", [])), settings=rest)
    require(not source.per_seed or source.synth is not None, "per_seed", "of synth", "of a folder")
    require(len(set(source.folds)) == len(source.folds), f"folds of {source.name}", "different", list(source.folds))
    if source.synth is not None:
        try:
            source.painted(0)
        except TypeError as error:
            raise SettingError(
                f"synth of {source.name} must hold options of `sciu-data synth`, but: {error}. Correct it."
            ) from None
    return source


def _row(entry: Layer) -> Row:
    rest = dict(entry)
    known: Layer = {name: rest.pop(name) for name in ("name", "labels", "of", "part") if name in rest}
    known.setdefault("name", rest.get("method"))
    _check_types(known)
    require(bool(known["name"]), "[[method]]", "named", entry)
    rest.setdefault("method", "plain")
    return Row(**known, settings=rest)


def _check(spec: Spec) -> None:
    """Raise an error for names that cannot be folders, unknown settings, and labels without a source."""
    from sciu.pipeline.train.config.settings import checked

    for name, layer in spec.by_backbone.items():
        require(isinstance(layer, dict), f"[backbone.{name}]", "a table of settings", repr(layer))
    for what, names in _names(spec).items():
        require(len(set(names)) == len(names), what, "different", list(names))
        for name in names:
            require(bool(_NAME.fullmatch(name)), f"a name of {what}", "letters, digits and . _ + -", repr(name))
    layers = [spec.settings, *spec.by_backbone.values(), *(data.settings for data in spec.data)]
    layers += [row.settings for row in spec.methods]
    for layer in layers:
        for name, value in layer.items():
            require(name not in _OURS, name, "left to the grid", "a setting")
            if name == "preset":
                require(isinstance(value, str), "preset", "text", repr(value))
            else:
                checked(name, value)
    require(bool(spec.seeds), "seeds", "at least one", "none")
    for name in spec.by_backbone:
        require(name in spec.backbones, "[backbone.NAME]", f"of {', '.join(spec.backbones)}", repr(name))
    parts = [row.part for row in spec.methods if row.part]
    require(len(set(parts)) == len(parts), "`part`", "another in every row", parts)
    shared = sorted(set(spec.seeds) & set(spec.tuning_seeds))
    require(not shared, "seeds", "others than tuning_seeds, by which something was chosen", shared)
    for row in spec.methods:
        _check_labels(row, spec.methods)


_OURS = {"seed", "fold", "backbone", "labels_from", "of"}


def _names(spec: Spec) -> dict[str, Sequence[str]]:
    return {
        "data": [each.name for each in spec.data], "methods": [each.name for each in spec.methods],
        "backbones": spec.backbones, "seeds": [str(seed) for seed in spec.seeds],
    }  # fmt: skip


def _check_labels(row: Row, rows: Sequence[Row]) -> None:
    choices = (GIVEN, *OWN_LABELS, *OF_ANOTHER, PART)
    require(row.labels in choices, f"labels of {row.name}", f"one of {', '.join(choices)}", repr(row.labels))
    others = [other.name for other in rows if other.labels not in OF_ANOTHER]  # no chains
    if row.labels in OF_ANOTHER:
        require(row.of in others, f"`of` of {row.name}", f"one of {', '.join(others)}", repr(row.of))
    else:
        require(not row.of, f"`of` of {row.name}", f"left out with labels {row.labels}", repr(row.of))
    must = f"1 to {PARTS}" if row.labels == PART else "left out"
    right = row.part in range(1, PARTS + 1) if row.labels == PART else not row.part
    require(right, f"`part` of {row.name}", f"{must} with labels {row.labels}", row.part)
