"""How the values of options are read, and which files `--out` may name."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from sciu.pipeline.errors import SettingError
from sciu.tools.command import as_pairs, require_new_file

OPTION = click.Option(["--rename"])
CONTEXT = click.Context(click.Command("import"))


def test_a_name_in_double_quotes_may_have_an_equals_sign() -> None:
    assert as_pairs(CONTEXT, OPTION, ["a=b", '"=x|y"=z', '"c=d" = "e=f"']) == {"a": "b", "=x|y": "z", "c=d": "e=f"}
    with pytest.raises(SettingError, match="NAME=NAME, a name that has = itself in double quotes, but is 'a=b=c'"):
        as_pairs(CONTEXT, OPTION, ["a=b=c"])
    with pytest.raises(SettingError, match="about different names"):
        as_pairs(CONTEXT, OPTION, ["a=b", "a=c"])


def test_a_file_that_is_there_is_replaced_only_if_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of `clips/*.mp4`, a run's card, a dataset's table: all of them were overwritten."""
    there = tmp_path / "clip.mp4"
    require_new_file(there, replace=False)
    there.touch()
    with pytest.raises(SettingError, match="must be a new file, but '.*clip.mp4' exists. Choose another name, or give"):
        require_new_file(there, replace=False)
    require_new_file(there, replace=True)
    with pytest.raises(SettingError, match="must be a new file"):
        require_new_file(tmp_path, replace=True)
    with pytest.raises(
        SettingError, match="in a folder that exists, but '.*no where' does not: `mkdir -p '.*no where'`"
    ):
        require_new_file(tmp_path / "no where" / "out.csv", replace=True)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(SettingError, match="must be in a folder that can be written, but '.*' cannot"):
        require_new_file(tmp_path / "out.csv", replace=True)
