"""A folder is a run, nothing yet, or something else, which is told in a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError
from sciu.pipeline.train.record.run_card import DatasetCard, RunCard
from sciu.pipeline.train.record.run_folder import RunFolder

CARD = RunCard(
    run="1f", command="sciu-train", settings=Settings(epochs=7, lr=0.5), origins={"lr": "--lr"},
    dataset=DatasetCard(folder="/data", name="顔", fingerprint="ab12", classes=["happy", "sad"]),
    labels_from=None, held_out=[3, 17], store="2026-01-02T03:04:05+00:00",
)  # fmt: skip


def write(folder: Path, content: Any) -> RunFolder:
    """Write a card, whatever is in it."""
    text = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
    (folder / "run.json").write_bytes(text)
    return RunFolder(folder)


def test_there_and_back(tmp_path: Path) -> None:
    run = write(tmp_path, CARD.to_json())
    assert run.read() == run.require() == CARD


def test_where_everything_is(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    places = {"card": "run.json", "store": "purifier", "index": "index", "checkpoints": "checkpoints"}
    assert {name: getattr(run, name) for name in places} == {name: tmp_path / path for name, path in places.items()}
    assert run.tensorboard == tmp_path / "tensorboard"


def test_what_is_not_there_or_empty_is_no_run_yet(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        assert RunFolder(folder).read() is None
        with pytest.raises(RunError, match="does not exist|has no run.json"):
            RunFolder(folder).require()


def test_a_folder_of_others_or_a_file_is_not_taken_for_a_new_run(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    for path in (tmp_path, tmp_path / "thesis.tex"):
        with pytest.raises(RunError, match=f"'{path}' .*run.json"):
            RunFolder(path).read()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", json.dumps(CARD.to_json()).encode()[:-40]])
def test_a_damaged_card_is_told(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RunError, match="run.json' .*damaged") as error:
        write(tmp_path, content).read()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("brackets", [b"[", b'{"run":'])
def test_a_hundred_thousand_brackets_are_a_line(tmp_path: Path, brackets: bytes) -> None:
    with pytest.raises(RunError, match="run.json' must be JSON, but is damaged: .*recursion"):
        write(tmp_path, brackets * 100_000).read()


@pytest.mark.parametrize("content", [[], "a run", None, 7, {}])
def test_json_that_is_no_card_is_told(tmp_path: Path, content: Any) -> None:
    with pytest.raises(RunError, match="run.json' .*held_out.*settings"):
        write(tmp_path, content).read()


@pytest.mark.parametrize("name", ["format", "run", "settings", "dataset", "store", "held_out"])
def test_a_card_that_lacks_anything_is_told(tmp_path: Path, name: str) -> None:
    content = CARD.to_json()
    del content[name]
    with pytest.raises(RunError, match=f"run.json' .*{name}"):
        write(tmp_path, content).read()


def test_another_format_is_refused_with_both(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="format 1.*99.*Update"):
        write(tmp_path, {**CARD.to_json(), "format": 99}).read()


def test_settings_that_nobody_knows_are_refused_by_name(tmp_path: Path) -> None:
    """They may be what the run's results hang on."""
    content = CARD.to_json()
    content["settings"] |= {"warp": 9, "age": 7}
    with pytest.raises(RunError, match=r"\['age', 'warp'\].*Update"):
        write(tmp_path, content).read()


@pytest.mark.parametrize(
    "wrong",
    [
        {"settings": []}, {"settings": None},
        {"dataset": "faces"}, {"dataset": {}}, {"held_out": None}, {"held_out": 7}, {"held_out": ["a"]},
        {"held_out": [-1]}, {"held_out": [1 << 40]}, {"held_out": [1.5]}, {"run": 7}, {"store": []}, {"origins": []},
        {"origins": None}, {"labels_from": "x"}, {"labels_from": {"run": 1}}, {"command": 1}, {"backbone": None},
        {"dataset": {**CARD.to_json()["dataset"], "classes": "happy"}},
        {"dataset": {**CARD.to_json()["dataset"], "folder": 1}},
    ],
)  # fmt: skip
def test_a_card_with_other_content_is_refused_in_one_line(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"run.json' is damaged: .* Start a new run\.$"):
        write(tmp_path, {**CARD.to_json(), **wrong}).read()


@pytest.mark.parametrize("settings", [{"lr": "abc"}, {"method": "of a later version"}])
def test_a_setting_that_cannot_be_read_is_not_taken_for_damage(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"unknown here: .* Update sciu\.$"):
        write(tmp_path, {**CARD.to_json(), "settings": settings}).read()


def test_a_dataset_card_of_a_later_version_is_read(tmp_path: Path) -> None:
    content = CARD.to_json()
    content["dataset"]["of a later version"] = 1
    assert write(tmp_path, content).read() == CARD


def test_a_card_with_fewer_settings_is_read(tmp_path: Path) -> None:
    content = CARD.to_json()
    content["settings"] = {"lr": 0.5, "epochs": 7}
    assert write(tmp_path, content).read() == CARD
