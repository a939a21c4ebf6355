"""`sciu-purify`: inspect a purifier's store, decide yourself, undo decisions, export them."""

from __future__ import annotations

import click

from sciu.tools.command import Group
from sciu.tools.purify.inspection import health, list_clips, show, status
from sciu.tools.purify.maintenance import compact, export, verify
from sciu.tools.purify.overrides import import_review, pin, quarantine, release, undo


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """Show what was pruned and corrected and why; pin, undo, export, verify.

    RUN is the folder of a training run, or the store itself. You can inspect a run while it trains; pins and undos take
    effect from its next epoch on.
    """


INSPECT = (status, list_clips, show, health)
OVERRIDE = (pin, undo, quarantine, release, import_review)
MAINTAIN = (export, verify, compact)
for command in (*INSPECT, *OVERRIDE, *MAINTAIN):
    main.add_command(command)
