"""`sciu-purify`: look into a purifier's store, decide yourself, take decisions back, take its verdicts elsewhere."""

from __future__ import annotations

import click

from sciu.tools.command import Group
from sciu.tools.purifying.decide import import_review, pin, undo
from sciu.tools.purifying.keep import compact, export, verify
from sciu.tools.purifying.look import health, list_clips, show, status


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def main() -> None:
    """See what was pruned and corrected and why; pin, undo, export, verify.

    RUN is the folder of a training run, or the store itself. Looking works while a training is writing; what you pin or
    undo meanwhile holds from its next epoch on.
    """


for command in (status, list_clips, show, health, pin, undo, import_review, export, verify, compact):
    main.add_command(command)

if __name__ == "__main__":
    main()
