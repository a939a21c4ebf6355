"""The option `--backbone NAME`: a registered network or your own; `--backbone list` lists the registered ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from sciu.tools.command import print_table


def backbone_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--backbone` to a command."""
    return click.option(
        "--backbone",
        default="resnet18_lstm",
        metavar="NAME",
        callback=list_or_name,
        is_eager=True,  # the list needs none of the other arguments
        help="Use this network, or your own as package.module:Class or file.py:Class; `list` shows all.",
    )(command)


def list_or_name(context: click.Context, _option: click.Parameter, name: Any) -> Any:
    """Return the name; for `list`, list the backbones and exit."""
    if name == "list" and not context.resilient_parsing:
        _print_backbones()
        context.exit()
    return name


def _print_backbones() -> None:
    from sciu.models.registry import REGISTRY, describe

    rows = [
        [name, entry["size"], entry["parameters"], f"{entry['flops'] / 1e9:,.1f}", entry["about"]]
        for name, entry in ((name, describe(name)) for name in REGISTRY)
    ]
    print_table(["backbone", "px", "parameters", "GFLOP a clip", "about"], rows)
    click.echo("Your own: package.module:Class or file.py:Class. GFLOP: one forward pass of 16 frames.")
