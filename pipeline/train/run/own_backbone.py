"""A user's own backbone in a run: the run keeps a copy of its source, and a change of it does not pass unnoticed."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from pathlib import Path

from sciu.models.own import source_of, with_file
from sciu.pipeline.dataset.system.files import sha256, write_atomically
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.run_card import RunCard
from sciu.pipeline.train.record.run_folder import RunFolder
from sciu.pipeline.train.report.telemetry import Say


@dataclass(frozen=True)
class OwnSource:
    """The source of a user's own backbone, as it was when it was read."""

    path: Path
    content: bytes

    @classmethod
    def of(cls, backbone: str) -> OwnSource | None:
        """Read it; None for a backbone of ours, and where there is no source."""
        path = source_of(backbone)
        return cls(path, path.read_bytes()) if path else None

    @property
    def fingerprint(self) -> str:
        """Its SHA-256."""
        return sha256(self.content)

    def keep(self, run: RunFolder) -> None:
        """Copy it into the run."""
        run.backbone.mkdir(exist_ok=True)
        write_atomically(_copy(run, self.path, self.fingerprint), self.content)


def fingerprint(backbone: str) -> str:
    """Return the SHA-256 of a user's own source; empty for a backbone of ours, and where there is no source."""
    source = OwnSource.of(backbone)
    return source.fingerprint if source else ""


def imported_beside(backbone: str) -> list[str]:
    """Return the files in the folder of a user's own source that it imports, of which a run knows nothing."""
    if (source := OwnSource.of(backbone)) is None:
        return []
    folder, modules = source.path.parent, set[str]()
    try:
        for node in ast.walk(ast.parse(source.content)):
            if isinstance(node, ast.ImportFrom) and node.module and node.level < 2:
                modules.add(node.module)
            elif isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.level == 1):
                modules |= {name.name for name in node.names}
    except SyntaxError:  # it is said when the network is built
        return []
    files = {f"{module.removeprefix(f'{folder.name}.').partition('.')[0]}.py" for module in modules}
    return sorted(file for file in files if (folder / file).is_file())


def keep_source(run: RunFolder, backbone: str) -> str:
    """Copy a user's own source into the run, if there is any; return its fingerprint."""
    if (source := OwnSource.of(backbone)) is None:
        return ""
    source.keep(run)
    return source.fingerprint


def accepted(run: RunFolder, card: RunCard, settings: Settings, say: Say) -> OwnSource | None:
    """Return the source that a run goes on with, None if it is that of its last checkpoint.

    It is refused unless the settings allow it. Nothing is written: it may not fit, or another process may train the
    run; `note_change` is for when the first checkpoint is written.
    """
    source = OwnSource.of(settings.backbone)
    if source is None or card.backbone in (
        "",
        source.fingerprint,
    ):  # away: the copy is used; of an earlier version; same
        return None
    if not settings.backbone_may_change:
        raise RunError(
            f"backbone {settings.backbone!r} must be as the run was trained with, but '{source.path}' has changed."
            f" Restore it from '{_copy(run, source.path, card.backbone)}', or use the new one: --set"
            " backbone_may_change=true."
        )
    say(f"backbone: {settings.backbone} has changed, and the run goes on with what it is now")
    return source


def note_change(run: RunFolder, source: OwnSource) -> None:
    """Write into the run's card what it is trained with from now on, and keep a copy."""
    source.keep(run)
    run.write(replace(run.require(), backbone=source.fingerprint))


def as_trained(run: RunFolder, backbone: str, trained_with: str) -> tuple[str, str]:
    """Return the name of the backbone that has the given fingerprint, and what is to be said about it, if anything."""
    if not trained_with or fingerprint(backbone) == trained_with:
        return backbone, ""
    kept = with_file(backbone, lambda path: _copy(run, path, trained_with).absolute())
    if kept == backbone:  # a module: it is imported from wherever Python finds it
        return backbone, f"backbone {backbone} has changed since; what it was is in '{run.backbone}'"
    if (found := fingerprint(kept)) != trained_with:
        raise RunError(
            f"'{kept.rpartition(':')[0]}' must be the run's own copy of backbone {backbone!r}, as it was trained with,"
            f" but {'has changed' if found else 'is missing'}. Restore it or the original."
        )
    where = "has changed since" if source_of(backbone) else "is not there any more"
    return kept, f"backbone {backbone} {where}: the run's own copy is used"


def _copy(run: RunFolder, source: Path, known_as: str) -> Path:
    return run.backbone / f"{source.stem}_{known_as[:12]}.py"
