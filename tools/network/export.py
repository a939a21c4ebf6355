"""`sciu-export`: the network of a run as a file for use elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from sciu.pipeline.dataset.system.files import write_atomically
from sciu.pipeline.errors import shown
from sciu.tools.command import (
    Command,
    checkpoint_option,
    json_option,
    print_json,
    replace_option,
    require_new_file,
)


@click.command(cls=Command, context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["torch", "onnx"]), required=True,
    help="Write the weights as safetensors for torch, or the whole network as ONNX.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Write this file.")
@replace_option
@checkpoint_option
@json_option
def main(run: Path, form: str, out: Path, replace: bool, checkpoint: str, as_json: bool) -> None:
    """Export the network of a run, with a record of its classes and of how clips become its input.

    docs/models.md shows how both files are used; examples/onnx_predict.py predicts by an ONNX file alone.

    Example: sciu-export runs/dfew-1 --format onnx --out dfew.onnx
    """
    require_new_file(out, replace=replace)
    from sciu.pipeline.train.export import export
    from sciu.pipeline.train.run.trained_run import TrainedNetwork

    trained = TrainedNetwork.of(run, checkpoint)
    if trained.remark:
        click.echo(trained.remark, err=True)
    exported = export(trained, form)
    write_atomically(out, exported.content)
    if as_json:
        print_json({"file": str(out), "bytes": len(exported.content), **exported.record})
    else:
        record = exported.record
        what = f"{record['network']['backbone']} after epoch {record['run']['epoch']}"
        click.echo(shown(f"{what}, {len(record['classes'])} classes: {len(exported.content):,} bytes in '{out}'"))


if __name__ == "__main__":
    main()
