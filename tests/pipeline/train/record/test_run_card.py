"""A run's card comes back from its JSON, also that of a version which had fewer settings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sciu.pipeline.dataset import Dataset
from sciu.pipeline.train.config.resolve import resolve
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.record.run_card import FORMAT, DatasetCard, RunCard

RESOLVED = resolve([
    ("preset demo", {"epochs": 7, "prune_below": "auto", "lr": 0.5}), ("--cgp", {"cgp": False, "method": "sciu"}),
])  # fmt: skip
CARD = RunCard(
    run="1f", command="sciu-train 'a b'", settings=RESOLVED.settings, origins=RESOLVED.origins,
    dataset=DatasetCard(folder="/data", name="顔", fingerprint="ab12", classes=["happy", "sad"]),
    labels_from={"run": "2e", "folder": "/runs/2e"}, held_out=[3, 17], store="2026-01-02T03:04:05+00:00",
)  # fmt: skip


def test_there_and_back() -> None:
    """Through text, as `run.json` keeps it."""
    for card in (CARD, replace(CARD, labels_from=None, held_out=[], settings=Settings())):
        content = json.loads(json.dumps(card.to_json()))
        assert content["format"] == FORMAT
        assert RunCard.from_json(content) == card


@pytest.mark.parametrize("name", ["lr", "prune_below", "cgp", "epochs"])
def test_a_setting_that_the_run_did_not_know_has_its_default(name: str) -> None:
    content = CARD.to_json()
    del content["settings"][name]
    found = RunCard.from_json(content)
    assert getattr(CARD.settings, name) != getattr(found.settings, name) == getattr(Settings(), name)
    assert replace(found.settings, **{name: getattr(CARD.settings, name)}) == CARD.settings


def test_what_the_first_cards_did_not_tell_is_empty() -> None:
    content = CARD.to_json()
    for name in ("command", "origins", "labels_from"):
        del content[name]
    assert RunCard.from_json(content) == replace(CARD, command="", origins={}, labels_from=None)


def test_a_dataset_is_described_by_what_makes_it_the_same_one(faces: Dataset) -> None:
    card = DatasetCard.of(faces)
    assert card == DatasetCard(
        folder=str(faces.folder), name=faces.name, fingerprint=faces.fingerprint, classes=list(faces.classes)
    )
    assert DatasetCard(**json.loads(json.dumps(card.__dict__))) == card


def test_held_out_clips_are_not_shown_where_a_card_is_printed() -> None:
    """There may be thousands."""
    assert "17" not in repr(replace(CARD, held_out=[17]))
