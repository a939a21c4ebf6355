"""What happened to a store: an event for every decision, of the policy or of a user."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone
from typing import Any, Literal

from sciu.purification.errors import PolicyError, declared

Kind = Literal["create", "epoch", "pin", "undo", "quarantine", "release"]
_NAMES = {"number": "event"}  # in the store, where they differ


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event; what it changed is in its rows."""

    kind: Kind
    time: str  # ISO 8601, UTC
    number: int = -1  # in the order of events; -1 before it is stored
    rows: int = 0  # clips that it changed
    epoch: int = 0  # that ended, or that was open when a user decided; 0: the store was created
    scored: int = 0  # clips with scores in the epoch that ended
    thresholds: dict[str, float] = field(default_factory=dict)
    spared: dict[str, int] = field(default_factory=dict)  # clips that guards kept, by class name and "all"
    transition: list[list[float]] | None = None  # estimated P(given class | true class), of the policy `auto`
    action: str = ""  # of a pin: keep, drop, label, free
    undone_epoch: int | None = None
    who: str = ""
    why: str = ""

    @classmethod
    def now(cls, kind: Kind, **content: Any) -> Event:
        """Return an event with the current time."""
        for name in ("who", "why"):
            text = content.get(name, "")
            if not isinstance(text, str) or text != text.encode("utf-8", "replace").decode():
                raise PolicyError(f"`{name}` must be text in UTF-8, but is {text!r}.")
        return cls(kind=kind, time=datetime.now(timezone.utc).isoformat(timespec="seconds"), **content)

    def stored_as(self, number: int, rows: int) -> Event:
        """Return it with its place in the history."""
        return replace(self, number=number, rows=rows)

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` takes; what does not apply is left out."""
        content = {_NAMES.get(each.name, each.name): getattr(self, each.name) for each in fields(self)}
        kept = {"event", "rows", *(("thresholds", "spared") if self.kind == "epoch" else ())}
        return {name: value for name, value in content.items() if value or name in kept}

    @classmethod
    def from_json(cls, content: Any) -> Event:
        """Read an event; what a later version adds is ignored."""
        if isinstance(content, dict):
            content = {name: content.get(_NAMES.get(name, name)) for name in (each.name for each in fields(cls))}
        return declared(cls, content, "an event")
