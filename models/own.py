"""A user's own backbone, `package.module:Class` or `path/to/file.py:Class`: where its source is, how it is built."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sciu.models.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

_IN_A_FILE = re.compile(r"(?s)(.*\.py):(.*)")


def with_file(name: str, place: Callable[[Path], Path]) -> str:
    """Return the name of a backbone with another path to its file; any other name is returned as it is."""
    found = _IN_A_FILE.fullmatch(name)
    return f"{place(Path(found[1]).expanduser())}:{found[2]}" if found else name


def absolute(name: str) -> str:
    """Return a name that means the same backbone from any folder."""
    return with_file(name, lambda path: Path(os.path.abspath(path)))  # noqa: PTH100 - resolve() would follow links


def source_of(name: str) -> Path | None:
    """Return the file that a user's own backbone is written in; None of any other, or where there is no such file.

    What that file imports is not looked at.
    """
    place = name.rpartition(":")[0]
    if found := _IN_A_FILE.fullmatch(name):
        path = Path(found[1]).expanduser()
    elif place:
        try:
            spec = importlib.util.find_spec(place)
        except (Exception, SystemExit):  # noqa: BLE001 - it imports the packages around it, a user's code
            return None
        if spec is None or not spec.origin:
            return None
        path = Path(spec.origin)
    else:
        return None
    return path if path.is_file() else None


def build_own(name: str) -> nn.Module:
    """Build a user's own backbone by its name."""
    try:
        backbone = _find_own(name)()
    except ModelError:
        raise
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ModelError(f"backbone {name!r} cannot be built without arguments: {reason}. Fix its module.") from error
    return _check_contract(backbone, name)


def _find_own(name: str) -> Callable[[], Any]:
    from torch import nn

    place, _, attribute = name.rpartition(":")
    if place.endswith(".py"):
        module = _import_file(Path(place).expanduser().resolve(), name)
    elif re.fullmatch(r"\w+(\.\w+)*", place):
        module = importlib.import_module(place)
    else:
        raise ModelError(f"backbone {name!r} must be package.module:Class or path/to/file.py:Class.")
    if not hasattr(module, attribute):
        raise ModelError(f"backbone {name!r} must name a class or a function, but '{place}' has no {attribute!r}.")
    factory = getattr(module, attribute)
    if not callable(factory) or isinstance(factory, nn.Module):
        raise ModelError(f"backbone {name!r} must name a class or a function, but names {factory!r}.")
    return factory


class _Uncached(SourceFileLoader):
    """Neither reads nor writes bytecode: after an edit within the same second it would still be the old one."""

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        """Say that the file has no age to compare bytecode with."""
        raise OSError(path)


def _import_file(path: Path, backbone: str) -> ModuleType:
    """Import a file once, under a unique name: `random.py` must not replace the standard module."""
    if not path.is_file():
        raise ModelError(f"backbone {backbone!r} must be in a file, but there is no '{path}'. Correct the path.")
    identity = str(path).encode() + path.read_bytes()
    name = f"sciu_own_{path.stem}_{hashlib.sha256(identity).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path, loader=_Uncached(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses need their module there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _check_contract(backbone: Any, name: str) -> nn.Module:
    """Return the backbone if it meets the contract; `SciuModel` checks the shape of its output."""
    from torch import nn

    if not isinstance(backbone, nn.Module):
        raise ModelError(f"backbone {name!r} must make a torch.nn.Module, but made {type(backbone).__name__}.")
    width = getattr(backbone, "embedding_size", None)
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise ModelError(f"backbone {name!r} must have an `embedding_size`, the D of its [B, D], but has {width!r}.")
    return backbone
