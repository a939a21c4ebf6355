"""Commands: one line for an error, exit codes, signals, `--version`.

| exit code | means |
|---|---|
| 0 | all went well |
| 1 | the work failed or found problems: a run that cannot continue, bad clips, a full disk, memory that is full |
| 2 | the command line or a setting is invalid |
| 3 | a dataset, a run or a store is invalid |
| 130, 138, 143 | stopped by SIGINT, by SIGUSR1, by SIGTERM |
| 141 | nobody reads what it prints any more, as after `| head -1` |
"""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from tempfile import gettempdir
from typing import Any

import click

from sciu.pipeline.errors import Stopped, shown
from sciu.tools import version
from sciu.tools.command.options import imported
from sciu.tools.command.output import say
from sciu.tools.command.progress import end_bar
from sciu.tools.command.signals import listen, listen_no_more

RUN_FAILED = 1


class Command(click.Command):
    """A command that turns errors into one line and an exit code, and has `--version`."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's parameters and `--version`."""
        return [*super().get_params(ctx), _VERSION]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line; say of a switch that was given a value what it takes."""
        words = [*args]
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if type(error) in _VALUE_TOO_MANY and (told := _value_of_a_switch(self.get_params(ctx), words)):
                raise click.UsageError(told, ctx) from error
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; however it ends, what is printed then is on a line of its own."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            if _is_of_output(error):
                raise Stopped(signal.SIGPIPE) from None
            raise
        finally:
            end_bar()

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line and exit."""
        listen()
        try:
            sys.exit(super().main(*args, **{**kwargs, "standalone_mode": False}) or 0)
        except click.ClickException as error:
            _show(error)
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            _complain("stopped by the keyboard (SIGINT)")
            sys.exit(128 + signal.SIGINT)
        except Stopped as stopped:
            if stopped.message:
                _complain(stopped.message)
            sys.exit(128 + stopped.number)
        except (OSError, MemoryError) as error:
            _complain(_system_message(error))
            sys.exit(RUN_FAILED)
        except ValueError as error:
            if not hasattr(error, "exit_code"):  # not an error class of ours: a bug, which shows its traceback
                raise
            _complain(str(error).strip())
            sys.exit(error.exit_code)
        finally:
            listen_no_more()


class Group(Command, click.Group):
    """A group of commands that handles errors the same way; its commands have `--version`, too."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command to the group."""
        super().add_command(_with_version(cmd), name)


class LazyGroup(Group):
    """A group that imports a command only when it is used: some need torch, whose import takes seconds."""

    def __init__(self, *args: Any, places: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = places  # `module:attribute` by name

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        """Return the names of the commands."""
        return [*self._places]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 - as click calls it
        """Import a command."""
        if name not in self._places:
            return None
        return _with_version(imported(self._places[name]))


def _with_version(command: click.Command) -> click.Command:
    if not isinstance(command, Command) and _VERSION not in command.params:
        command.params.append(_VERSION)
    return command


def _value_of_a_switch(parameters: Sequence[click.Parameter], words: Sequence[str]) -> str:
    """Return what a switch takes if a value was given to one, as in `--switch=1` or `--switch 0.3`."""
    switches = [each for each in parameters if isinstance(each, click.Option) and each.is_flag]
    names = {name: each for each in switches for name in (*each.opts, *each.secondary_opts)}
    for word, following in zip(words, (*words[1:], ""), strict=True):
        name, equals, value = word.partition("=")
        value = value if equals else following if _VALUE.fullmatch(following) else ""
        if name in names and value:
            option = names[name]
            ways = " or ".join(option.opts[:1] + option.secondary_opts[:1])
            return f"{name} takes no value, but is given {value!r}. It is {ways}: {option.help}"
    return ""


_VALUE_TOO_MANY = (click.UsageError, click.BadOptionUsage)  # of `--switch value`, of `--switch=value`
_VALUE = re.compile(r"[+-]?[\d.]+|on|off|true|false|yes|no", re.IGNORECASE)


def _system_message(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return "Out of memory. Choose smaller sizes, or a larger machine."
    if "AF_UNIX" in str(error):  # a socket of worker processes, whose path is bound to 107 bytes
        where, remedy = f"'{gettempdir()}': ", "Set TMPDIR to a folder with a shorter path"
        return f"{where}too long a path for a socket. {remedy}, then run the command again."
    remedy = _REMEDIES.get(error.errno or 0, "Free the disk or correct the path")
    if isinstance(error.filename, str | bytes):
        where = f"'{os.fsdecode(error.filename)}': "
    elif _is_of_output(error):
        where, remedy = "standard output: ", f"{remedy}, or let it go elsewhere"
    else:
        where = ""
    return f"{where}{error.strerror or error}. {remedy}, then run the command again."


_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Free the disk"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "Get the rights to it, or choose another place"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG), "Correct the path"),
    errno.EROFS: "Choose another place: what is there can only be read",
}


def _is_of_output(error: BaseException) -> bool:
    """Return whether an error was raised while something was printed on standard output, which no error names."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code is click.echo.__code__)
    return any(not frame.f_locals["err"] for frame in frames)


def _show(error: click.ClickException) -> None:
    """Print how the command is used, if click says it, and the error."""
    told = io.StringIO()
    error.show(told)
    usage, found, message = told.getvalue().rstrip("\n").partition("Error: ")
    for part in filter(None, (usage.rstrip("\n"), found + message)):
        say(part)


def _complain(message: str) -> None:
    say(shown(f"Error: {message}"))


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"sciu {version()}")
        context.exit()


_VERSION = click.Option(
    ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip
