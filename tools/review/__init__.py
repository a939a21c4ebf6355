"""`sciu-review`: a page on this machine on which a person goes through doubtful clips and decides."""

from __future__ import annotations

import json
import signal
from contextlib import nullcontext
from pathlib import Path

import click

from sciu.pipeline.errors import Stopped
from sciu.tools.command import Command, json_option, say
from sciu.tools.purify.common import login_name, run_argument
from sciu.tools.purify.places import data_option


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@run_argument
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Listen on this port; 0 is any free one.")
@click.option("--no-browser", is_flag=True, help="Print the address only, and open no browser.")
@click.option("--who", help="Record who decides.  [default: the page asks, and proposes your login name]")
@data_option
@json_option
def main(run: Path, port: int, no_browser: bool, who: str | None, data: Path | None, as_json: bool) -> None:
    """Go through doubtful clips on a page in your browser: keep, drop, or say which class it is, with the keyboard.

    Each decision is a pin in the store at once, and takes effect from the next epoch on: you can review while the run
    trains, resume it with what was decided, or train anew with --labels-from. RUN is the folder of a run, or a store.
    The page is for this machine alone; whoever has its address can decide. Stop it with Ctrl-C.

    Example: sciu-review runs/dfew --who anna
    """
    from sciu.tools.review.access import Access
    from sciu.tools.review.app import create_app
    from sciu.tools.review.desk import opened_desk
    from sciu.tools.review.opening import has_display, opened_browser
    from sciu.tools.review.serving import listening, serve
    from sciu.tools.review.videos import Videos

    if who is not None and not who.strip():
        raise click.UsageError("--who must be a name, but is empty. Leave it out to be asked on the page.")
    try:
        with listening(port) as socket, opened_desk(run, data) as desk, Videos(desk.dataset) as videos:
            access = Access(socket.getsockname()[1])
            reviewer = {"name": (who or login_name()).strip(), "asked": who is not None}
            app = create_app(desk, videos, access, run=run.absolute().name, reviewer=reviewer)
            _announce(access.address, desk.begins_with(), as_json)
            with nullcontext() if no_browser or not has_display() else opened_browser(access.address):
                serve(app, socket)
    except KeyboardInterrupt:  # is how it ends, and no error
        say("sciu-review ended; decisions are in the store.")
        raise Stopped(signal.SIGINT) from None


def _announce(address: str, clips: dict[str, int], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"address": address, **clips}))
        return
    doubtful = " and ".join(f"{clips[kind]:,} {kind}" for kind in ("pruned", "corrected"))
    click.echo(f"{doubtful} clips, {clips['decided']:,} of them decided by people. Open this address:\n")
    click.echo(f"{address}\n")
    click.echo("Ctrl-C ends it; every decision is stored at once.")
