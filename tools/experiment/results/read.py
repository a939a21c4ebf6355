"""Reads the results of a grid's folder, in the order of its spec."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sciu.pipeline.dataset.errors import DatasetError
from sciu.pipeline.errors import first_line
from sciu.pipeline.train.evaluation.confusion import Confusion
from sciu.tools.experiment.grid.spec import PART, Spec, read_spec
from sciu.tools.experiment.results.content import require_content

_DAMAGE = (
    ValueError, TypeError, KeyError, EOFError, OSError, RuntimeError, NotImplementedError, SyntaxError, MemoryError,
    OverflowError, zlib.error, struct.error, zipfile.BadZipFile,
)  # fmt: skip # of a zip of arrays, whichever byte of it changed
PLAIN, ORACLE = "plain", "oracle"  # the rows that others are compared with


@dataclass(frozen=True, eq=False)
class Result:
    """One run."""

    content: dict[str, Any]
    path: Path

    @property
    def place(self) -> tuple[str, str]:
        """The dataset and the backbone."""
        return self.content["data"], self.content["backbone"]

    @property
    def method(self) -> str:
        """The row that the run is of."""
        return str(self.content["method"])

    @property
    def unit(self) -> str:
        """The seed, and the fold where there are several."""
        return str(self.content["unit"])

    @property
    def classes(self) -> list[str]:
        """Names of the dataset's classes."""
        return list(self.content["dataset"]["classes"])

    def confusion(self, epoch: str = "last") -> Confusion:
        """Return the confusion matrix of the test clips, of the last epoch or the best."""
        return Confusion(np.array(self.content[epoch]["confusion"]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is known of every clip; nothing if only the numbers were kept."""
        path = self.path.with_suffix(".npz")
        if not path.exists():
            return {}
        content = io.BytesIO(path.read_bytes())
        try:
            if found := dict(np.load(content, allow_pickle=False)):
                return found
            raise EOFError("it has no arrays")
        except _DAMAGE as error:
            raise DatasetError(
                f"'{path}' is damaged: {first_line(error)}. Remove it, and run the grid with --resume."
            ) from None


@dataclass(frozen=True, eq=False)
class Group:
    """The runs of one dataset and backbone."""

    data: str
    backbone: str
    methods: dict[str, dict[str, Result]]  # row -> unit -> run
    parts: dict[str, list[Result]]  # by unit: runs without a part of the clips, which have no row

    def of(self, method: str) -> dict[str, Result]:
        """Return a method's runs by unit, which may be none."""
        return self.methods.get(method, {})

    def any(self) -> Result:
        """Return one of the runs, for what all have in common."""
        return next(iter(next(iter(self.methods.values())).values()))


def load_groups(folder: Path) -> list[Group]:
    """Read every result below a folder."""
    results = [read_result(path) for path in sorted((folder / "results").rglob("*.json"))]
    if not results:
        raise DatasetError(
            f"'{folder}' must be a grid with a finished run, but has no results. Use `sciu-experiment run`."
        )
    order = _order(folder)
    results.sort(key=order)
    groups: dict[tuple[str, str], Group] = {}
    for result in results:
        group = groups.setdefault(result.place, Group(*result.place, {}, {}))
        if result.content["labels"] == PART:
            group.parts.setdefault(result.unit, []).append(result)
        else:
            runs = group.methods.setdefault(result.method, {})
            _require_one_of_a_kind(result, runs.get(result.unit), group.any() if runs else result)
            runs[result.unit] = result
    return [group for group in groups.values() if group.methods]


def _require_one_of_a_kind(result: Result, same: Result | None, other: Result) -> None:
    """Raise if a run has two results, or other classes than the runs beside it: files were copied or moved."""
    if same:
        raise DatasetError(f"'{result.path}' and '{same.path}' are of the same run. Remove the one that is not.")
    if result.classes != other.classes:
        raise DatasetError(
            f"'{result.path}' must be of classes {other.classes}, as '{other.path}' is, but is of {result.classes}."
            " Remove the one that is not of this grid."
        )


def title_of(folder: Path) -> str:
    """Return the title of a grid."""
    spec = _spec(folder)
    return spec.title if spec else folder.name


def read_result(path: Path) -> Result:
    """Read one result; raise an error that names a damaged file."""
    try:
        content = json.loads(path.read_text("utf-8"))
        require_content(content)
    except (ValueError, TypeError, RecursionError) as error:  # not UTF-8, not JSON, too deep; of other types
        raise DatasetError(
            f"'{path}' is damaged: {first_line(error)}. Remove it, and run the grid with --resume."
        ) from None
    return Result(content, path)


def _spec(folder: Path) -> Spec | None:
    path = folder / "spec.toml"
    return read_spec(path) if path.exists() else None


def _order(folder: Path) -> Callable[[Result], tuple[Any, ...]]:
    """Return the key that sorts results in the order of the spec; others come last."""
    spec = _spec(folder)
    data = [each.name for each in spec.data] if spec else []
    backbones = spec.backbones if spec else ()
    methods = [each.name for each in spec.methods] if spec else []

    def key(result: Result) -> tuple[Any, ...]:
        names = zip(
            (result.content["data"], result.content["backbone"], result.method), (data, backbones, methods), strict=True
        )
        return *(_place(name, known) for name, known in names), result.content["seed"], result.unit

    return key


def _place(name: str, known: Sequence[str]) -> tuple[int, str]:
    return (known.index(name), name) if name in known else (len(known), name)
