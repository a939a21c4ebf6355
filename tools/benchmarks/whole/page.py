"""The page of `all`, in Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Results = dict[str, Any]
_COLUMNS = {  # of what the benches write, in this order: its header and its form
    "group": ("is", "{}"),
    "clips_per_second": ("clips/s", "{:,.1f}"),
    "seconds": ("seconds", "{:,.3f}"),
    "spread": ("spread", "{:.0%}"),
    "waiting": ("waiting", "{:.0%}"),
    "pruned": ("clips pruned", "{:.0%}"),
    "share_of_reachable": ("of a matrix product's rate", "{:.0%}"),
    "megabytes": ("memory, MB", "{:,.0f}"),
}
_MEASURES = ("clips_per_second", "seconds")


def page(results: Results) -> str:
    """Return the page; it is made to be shown to others, so it does not say whose home folder this is."""
    parts = (line for title, part in results["parts"].items() for line in _part(title, part))
    return "\n".join([*_head(results), *parts, ""]).replace(f"{Path.home()}/", "~/")


def _head(results: Results) -> Iterator[str]:
    machine = results["environment"]
    gpu = machine["gpu"]["name"] if machine["gpu"] else "none"
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    took = sum(part.get("seconds", 0) for part in results["parts"].values())
    yield f"# sciu bench: {machine['cpu']}, {machine['cores']} cores{', DRY RUN' if results['dry'] else ''}"
    yield from ("", "| | |", "|---|---|")
    yield f"| command | `{results['command']}` |"
    yield f"| hardware | {machine['cpu']}; {machine['cores']} cores; {machine['memory_GB']} GB; GPU: {gpu} |"
    yield f"| instruction sets | {' '.join(machine['instruction_sets'])} |"
    yield f"| system | {machine['system']} |"
    yield f"| software | Python {machine['python']}, {packages} |"
    yield f"| commit | {machine['commit'] or 'unknown'} |"
    yield f"| date | {results['date']} |"
    yield f"| time | {took / 60:.1f} minutes |"
    yield ""
    yield "All contestants of a table ran in turn in one process; medians, and (largest - smallest) / median."
    yield "The last column compares with the first row of the table: above 1 is faster."


def _part(title: str, part: Results) -> Iterator[str]:
    yield from ("", f"## {title}", "")
    if "options" in part:
        yield f"`python tools/bench.py {shlex.join(part['options'])}`, {part['seconds']:.0f} s"
        yield ""
    if part["state"] != "done":
        yield f"**{part['state']}**"
        return
    yield from _table(part["rows"])
    if part.get("ratios"):
        yield from ("", "; ".join(f"{name}: **{ratio:.3g}**" for name, ratio in part["ratios"].items()))
    if part.get("missing"):
        yield from ("", f"Not measured: {'; '.join(part['missing'])}.")


def _table(rows: list[Results]) -> Iterator[str]:
    columns = [key for key in _COLUMNS if any(row.get(key) is not None for row in rows)]
    measure = next(key for key in _MEASURES if key in rows[0])
    yield f"| | {' | '.join(_COLUMNS[key][0] for key in columns)} | speed |"
    yield f"|---|{'---:|' * (len(columns) + 1)}"
    for row in rows:
        cells = [_COLUMNS[key][1].format(row[key]) if row.get(key) is not None else "" for key in columns]
        speed = row[measure] / rows[0][measure] if measure == "clips_per_second" else rows[0][measure] / row[measure]
        yield f"| {row['name']} | {' | '.join(cells)} | {speed:.3g} |"
