"""The clips of a run as the page's script takes them: columns, in which names are numbers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from sciu.tools.report.records import Clip, RunRecord


def gallery(run: RunRecord) -> dict[str, Any]:
    """Return the clips that are shown, with their histories and previews."""
    clips, classes = run.decisions.clips, run.card.dataset.classes
    rows = [clip.row for clip in clips]
    number = {name: k for k, name in enumerate(classes)}
    folder = common_folder([row.path for row in rows])
    grounds = list(rows[0].grounds) if rows else []
    return {
        "classes": classes,
        "folder": folder,
        "grounds": grounds,
        "kind": [clip.kind for clip in clips],
        "clip": [row.clip for row in rows],
        "path": [row.path[len(folder):] for row in rows],
        "given": [number[row.given] for row in rows],
        "label": [number[row.label] for row in rows],
        "predicted": [None if row.predicted is None else number[row.predicted] for row in rows],
        "weight": [row.weight for row in rows],
        "labelScore": [row.label_score for row in rows],
        "epoch": [row.first_epoch for row in rows],
        "values": [[row.grounds[name] for row in rows] for name in grounds],
        "people": [_by_people(clip) for clip in clips],
        "history": [[[change.epoch, change.time, change.what] for change in clip.history] for clip in clips],
        "preview": [_encoded(clip) for clip in clips],
    }  # fmt: skip


def common_folder(paths: Sequence[str]) -> str:
    """Return the folder that all paths begin with, and its slash; empty if there is none."""
    first, last = min(paths, default=""), max(paths, default="")  # all others lie between the two
    same = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: first[:same].rfind("/") + 1]


def _by_people(clip: Clip) -> list[str] | None:
    return None if clip.people is None else [*astuple(clip.people)]


def _encoded(clip: Clip) -> str | None:
    return None if clip.preview is None else base64.b64encode(clip.preview).decode()
