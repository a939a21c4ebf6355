"""Settings are checked one by one, together, and for their types."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from sciu.pipeline.errors import SettingError
from sciu.pipeline.train.config.settings import TYPES, Settings, by_name, checked


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"method": "magic"}, "method must be one of auto, sciu, scn, elr, plain, sce, mae, but is 'magic'"),
        ({"batch_size": 0}, "batch_size must be 1 to 65,536, but is 0"),
        ({"validation": 1.0}, "validation must be at least 0 and below 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": float("inf")}, "lr must be 0 to"),
        ({"rank_beta": float("nan")}, "rank_beta must be 0 to 1"),
        ({"threads": 100_000}, "threads must be 0 to 1,024"),
        ({"views": 2, "sampling": "uniform"}, "views must be 1 with uniform sampling"),
        ({"epochs": 2, "lr_warmup": 2.0}, "lr_warmup must be 0 to below 2 epochs"),
        ({"sampling": "segment2", "frames": 15}, "frames must be even with segment2"),
        ({"flip": 2.0}, "flip must be 0 to 1"),
        ({"method": "sce", "label_smoothing": 0.1}, "label_smoothing must be 0 with sce"),
        ({"method": "scn", "cgp": False}, "apply to method sciu only, but the method is scn"),
        ({"pipeline": "torch", "cache": "8G"}, "cache must be off with --pipeline torch"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        Settings(**wrong)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("lr", 1, 1.0), ("epochs", 3, 3), ("cgp", False, False), ("prune_below", "auto", "auto"), ("prune_below", 1, 1.0)],
)
def test_values_get_the_type_of_their_setting(name: str, value: object, expected: object) -> None:
    found = checked(name, value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("epochs", 1.5, "epochs must be a whole number, but is 1.5"),
        ("epochs", True, "epochs must be a whole number"),
        ("lr", "fast", "lr must be a number"),
        ("cgp", 1, "cgp must be a truth value"),
        ("prune_below", "often", "prune_below must be a number or auto"),
        ("batchsize", 3, "Did you mean batch_size"),
    ],
)
def test_other_types_and_names_are_refused(name: str, value: object, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        checked(name, value)


def test_every_setting_is_described() -> None:
    assert all(each.metadata["about"] for each in fields(Settings))
    assert set(by_name()) == set(TYPES)
