"""`sciu-train`: train, purify while training, resume after any interruption."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import Field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciu.pipeline.errors import Stopped, count
from sciu.tools.command import Command, Progress, json_option, pending_signal, print_json, say
from sciu.tools.command.backbone import list_or_name

if TYPE_CHECKING:
    from sciu.pipeline.train.config.resolve import Resolved
    from sciu.pipeline.train.config.settings import Settings
    from sciu.pipeline.train.record.run_card import RunCard
    from sciu.pipeline.train.report.summary import Summary
    from sciu.pipeline.train.run.run import Run

_MATTER = ("method", "backbone", "fold", "epochs", "batch_size", "lr", "seed")  # told of a run that nobody expected


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every setting that has a flag."""
    from sciu.pipeline.train.config.settings import TYPES, by_name

    for name, described in reversed(by_name().items()):
        if described.metadata["flag"]:
            kind, about, flag = TYPES[name], described.metadata, _flag_of(described)
            is_switch = kind is bool
            option = click.option(
                f"--{flag}/--no-{flag}" if is_switch else f"--{flag}",
                name,
                type=click.Choice(about["choices"]) if about["choices"] else None if is_switch else kind,
                default=None,
                callback=list_or_name if name == "backbone" else None,
                is_eager=name == "backbone",
                help=f"{about['about']}  [default: {_shown(described.default)}]",
            )
            command = option(command)
    return command


def _flag_of(setting: Field[Any]) -> str:
    flag = setting.metadata["flag"]
    return flag if isinstance(flag, str) else setting.name.replace("_", "-")


def _shown(value: object) -> str:
    return (
        {True: "on", False: "off", "": "none"}.get(value, str(value)) if isinstance(value, bool | str) else str(value)
    )


class TrainCommand(Command):
    """A command that suggests the setting for an option that does not exist: most settings have no flag."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            name = error.option_name.lstrip("-").replace("-", "_")
            if not (meant := _options_meant(name)):
                raise
            message = f"No such option '{error.option_name}'. Did you mean {' or '.join(meant)}?"
            raise click.UsageError(message, ctx) from error


def _options_meant(name: str) -> list[str]:
    """Return how to give a value to the settings that a user may have meant."""
    from sciu.pipeline.train.config.settings import by_name, meant

    settings = by_name()
    return [
        f"'--{_flag_of(settings[each])}'" if settings[each].metadata["flag"] else f"'--set {each}=VALUE'"
        for each in ([name] if name in settings else meant(name))
    ]


@click.command(cls=TrainCommand, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write the run into this folder, which must be new or empty unless --resume is given.",
)
@click.option("--preset", help="Start from a preset: ferv39k, dfew, mafw or demo.")
@click.option(
    "--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Read settings from a TOML file."
)
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Change any setting; --print-config shows all."
)
@settings_options
@click.option("--resume", is_flag=True, help="Resume the run in --out; begin it, with a warning, if there is none.")
@click.option("--must-resume", is_flag=True, help="Resume the run in --out; refuse to begin one if there is none.")
@click.option("--quiet", is_flag=True, help="Print nothing but warnings and a last line.")
@click.option("--dry-run", is_flag=True, help="Build everything, take one step, and keep no files.")
@click.option("--print-config", is_flag=True, help="Print every setting and where its value comes from.")
@json_option
def main(
    data: Path, out: Path | None, preset: str | None, config: Path | None, assignments: tuple[str, ...],
    resume: bool, must_resume: bool, quiet: bool, dry_run: bool, print_config: bool, as_json: bool, **flags: Any,
) -> None:  # fmt: skip
    """Train on a dataset, and clean it while training.

    Decisions about clips are stored in RUN/purifier (`sciu-purify` shows them), the clips of each epoch in RUN/index.
    --resume continues a run that was stopped or killed, exactly where it was.

    Example: sciu-train data/dfew128 --out runs/dfew --preset dfew --fold 1 --pipeline dali
    """
    if out is None and (must_resume or not (print_config or dry_run)):
        raise click.UsageError("--out must name the run's folder, but is not given.")
    begun = _begun(out, must=must_resume) if out and (resume or must_resume) else None
    resolved = _resolve(begun, preset, config, assignments, flags)
    if print_config:
        _require_possible(resolved.settings, data, new=begun is None)
        click.echo(resolved.toml(), nl=False)
        return
    if out is not None and not (resume or must_resume):
        _require_new(out)
    if dry_run:
        _dry_run(data, resolved, quiet=quiet, as_json=as_json)
        return
    assert out is not None
    _train(data, out, resolved, warn=resume and begun is None, quiet=quiet, as_json=as_json)


def _begun(out: Path, *, must: bool) -> RunCard | None:
    """Return the card of the run to resume, None if there is none."""
    from sciu.pipeline.errors import SettingError
    from sciu.pipeline.train.record.run_folder import RunFolder

    card = RunFolder(out).read()
    if must and card is None:
        raise SettingError(
            f"--must-resume must find a run, but '{out}' has none. Correct --out, or begin a run with --resume."
        )
    return card


def _resolve(
    card: RunCard | None, preset: str | None, config: Path | None, assignments: tuple[str, ...], flags: dict[str, Any]
) -> Resolved:
    """Combine the layers of settings; a run that is resumed is the lowest of them."""
    from sciu.pipeline.train.config.resolve import assignment_layer, file_layer, preset_layer, resolve, run_layers

    layers: list[tuple[str, Any]] = [*run_layers(card.settings, card.origins)] if card else []
    layers += [preset_layer(preset)] if preset is not None else []
    layers += [file_layer(config)] if config else []
    layers += [assignment_layer(assignments)] if assignments else []
    layers += [(f"--{name.replace('_', '-')}", {name: value}) for name, value in flags.items() if value is not None]
    return resolve(layers)


def _require_possible(settings: Settings, data: Path, *, new: bool) -> None:
    """Raise for what a training would refuse before it builds anything; where there is no dataset yet, without it."""
    from sciu.models.registry import frame_size
    from sciu.pipeline.dataset import Dataset
    from sciu.pipeline.train.config.choices import require_here
    from sciu.pipeline.train.run.create import choose_clips
    from sciu.pipeline.train.run.pretrained import require_weights

    require_here(settings)
    require_weights(settings)
    frame_size(settings.backbone)  # its error lists the backbones
    if new and data.exists():
        choose_clips(settings, Dataset.load(data))


def _require_new(out: Path) -> None:
    from sciu.pipeline.train.errors import RunError

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"--out must be new or empty, but '{out}' is not. Choose another, or --resume the run in it.")


def _train(data: Path, out: Path, resolved: Resolved, *, warn: bool, quiet: bool, as_json: bool) -> None:
    """Train on this rank; warn, if asked to, that there is nothing to resume."""
    from sciu.pipeline.train.config.choices import choose_device
    from sciu.pipeline.train.job.ranks import joined
    from sciu.pipeline.train.job.stopping import Stop
    from sciu.pipeline.train.loop import train
    from sciu.pipeline.train.run.resume import restore
    from sciu.pipeline.train.run.run import RunRequest, opened
    from sciu.pipeline.train.step.failures import explain_failures

    settings = resolved.settings
    device, choice = choose_device(settings.device, deterministic=settings.deterministic)
    request = RunRequest(
        data=data, out=out, resolved=resolved, say=_say_warning if quiet else say,
        progress=_no_progress if quiet else _progress, command=shlex.join(["sciu-train", *sys.argv[1:]]),
    )  # fmt: skip
    stop = Stop()
    with ExitStack() as stack:
        ranks = stack.enter_context(joined(device))
        if warn and ranks.first:
            _warn_of_a_new_run(out, settings)
        run = stack.enter_context(opened(request, device, ranks, stop))
        run.say(f"device: {choice.value} ({choice.reason})")
        if settings.profile and run.folder.trace.exists() and not resolved.of_run("profile"):
            run.say(f"profile: '{run.folder.trace}' of before is kept; remove it to have another written")
        state = restore(run)
        try:
            stop.signal = pending_signal()
            with stop, explain_failures(settings):
                train(run, state)
        except Stopped as stopped:
            where = f"saved in epoch {state.epoch}, after step {state.step}"
            message = f"stopped by {signal.Signals(stopped.number).name}; {where}. --resume continues."
            raise Stopped(stopped.number, message if ranks.first else "") from None
        if run.telemetry:
            _report(run, run.telemetry.summary(state), quiet=quiet, as_json=as_json)


def _warn_of_a_new_run(out: Path, settings: Settings) -> None:
    matter = ", ".join(f"{name} {getattr(settings, name)}" for name in _MATTER)
    say(f"Warning: nothing to resume in '{out}': beginning a new run ({matter})")


def _say_warning(line: str) -> None:
    from sciu.pipeline.train.report.telemetry import WARNING

    if line.startswith(WARNING):
        say(line)


def _no_progress(_label: str) -> Callable[[int, int, str], None]:
    return lambda _done, _total, _note: None


def _progress(label: str) -> Progress:
    return Progress(label, passing=True)


def _report(run: Run, summary: Summary, *, quiet: bool, as_json: bool) -> None:
    if as_json:
        print_json(summary.to_json())
        return
    click.echo(f"last epoch {summary.epochs_done}: WAR {summary.war:.2%}  UAR {summary.uar:.2%}")
    if quiet:
        return
    if summary.ended == "patience":
        click.echo(f"ended early: nothing better since epoch {summary.best_epoch} (patience {run.settings.patience})")
    chosen = summary.best_chosen_on
    click.echo(f"best epoch {summary.best_epoch}, chosen on the {chosen} clips: WAR {summary.war_best:.2%}")
    click.echo(f"of {summary.train_clips:,} clips {summary.pruned:,} pruned, {summary.corrected:,} corrected")
    click.echo(f"time of all {count(summary.epochs_done, 'epoch')}: {summary.where_time_went()}")
    click.echo(f"'{run.folder.path}': summary.json, log.jsonl, checkpoints, tensorboard; `sciu-purify status` for more")


def _dry_run(data: Path, resolved: Resolved, *, quiet: bool, as_json: bool) -> None:
    """Build everything in a temporary folder, and take one step."""
    import tempfile

    from sciu.pipeline.train.config.choices import choose_device
    from sciu.pipeline.train.job.ranks import Ranks
    from sciu.pipeline.train.job.stopping import Stop
    from sciu.pipeline.train.loop import dry_run
    from sciu.pipeline.train.run.run import RunRequest, opened

    settings = resolved.settings
    device, _ = choose_device(settings.device, deterministic=settings.deterministic)
    with tempfile.TemporaryDirectory() as folder:
        told = _say_warning if quiet else say
        request = RunRequest(data=data, out=Path(folder) / "run", resolved=resolved, say=told, progress=_progress)
        with opened(request, device, Ranks(), Stop()) as run:
            seconds = dry_run(run)
    if as_json:
        print_json({"device": str(device), "batch_size": settings.batch_size, "seconds_per_step": seconds})
    else:
        click.echo(f"one step of {settings.batch_size} clips took {seconds:.3f} s. All is ready; leave --dry-run out.")


if __name__ == "__main__":
    main()
