"""Layers of settings: the later wins, and every value knows where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from sciu.pipeline.errors import SettingError
from sciu.pipeline.train.config.presets import PRESETS
from sciu.pipeline.train.config.resolve import (
    assignment_layer,
    file_layer,
    lasting,
    preset_layer,
    require_same,
    resolve,
    run_layers,
)
from sciu.pipeline.train.config.settings import Settings
from sciu.pipeline.train.errors import RunError


def test_later_layers_win_and_origins_are_kept() -> None:
    found = resolve([preset_layer("dfew"), assignment_layer(["lr=0.5", "crop=shifted"]), ("--lr", {"lr": 0.25})])
    assert (found.settings.prune_below, found.settings.lr, found.settings.crop) == (0.6, 0.25, "shifted")
    assert [found.origins[name] for name in ("prune_below", "lr", "crop", "seed")] == [
        "preset dfew", "--lr", "--set", "default",
    ]  # fmt: skip


@pytest.mark.parametrize("name", list(PRESETS))
def test_presets_make_sense_and_come_back_from_their_file(name: str, tmp_path: Path) -> None:
    found = resolve([preset_layer(name)])
    (tmp_path / "settings.toml").write_text(found.toml())
    again = resolve([file_layer(tmp_path / "settings.toml")])
    assert again.settings == found.settings
    assert f"# preset {name}" in found.toml()


def test_the_papers_thresholds() -> None:
    """FERV39k: lambda .7, tau .2, t 3. DFEW: .6, .4, 2. Sixteen frames, 200 epochs, SGD with momentum .9."""
    for name, expected in {"ferv39k": (0.7, 0.2, 3), "dfew": (0.6, 0.4, 2)}.items():
        found = resolve([preset_layer(name)]).settings
        assert (found.prune_below, found.correct_above, found.window) == expected
        assert (found.frames, found.epochs, found.optimiser, found.momentum) == (16, 200, "sgd", 0.9)


def test_presets_say_what_is_published() -> None:
    assert "not published" in resolve([preset_layer("mafw")]).remarks()[0]
    assert resolve([preset_layer("dfew"), ("--lr", {"lr": 0.1})]).remarks() == [PRESETS["dfew"].source]
    assert resolve([]).remarks() == []


def test_settings_without_effect_are_told_if_somebody_asked_for_them() -> None:
    found = resolve([preset_layer("dfew"), ("--set", {"sure": 0.8, "prune_below": 0.5})])
    assert found.settings.method == "auto"
    assert found.remarks()[1:] == ["prune_below has no effect with method auto, only with sciu"]
    assert resolve([("--set", {"method": "sciu", "prune_below": 0.5})]).remarks() == []


def test_a_run_that_is_resumed_tells_what_its_user_gave_and_not_what_a_preset_did() -> None:
    begun = resolve([preset_layer("dfew"), ("--set", {"sure": 0.8, "warmup": 12})])
    again = resolve(run_layers(begun.settings, begun.origins))
    assert again.settings == begun.settings
    assert begun.remarks()[1:] == again.remarks() == ["warmup has no effect with method auto, only with sciu and scn"]
    assert "# the run: preset dfew. " in again.toml()
    early = resolve(run_layers(begun.settings, {}))
    assert (early.settings, early.remarks()) == (begun.settings, [])
    assert {*early.origins.values()} == {"the run"}


def test_a_presets_warmup_is_shortened_to_fit_the_epochs_and_that_is_told_and_kept() -> None:
    """`--preset demo --epochs 1` was refused for a setting that nobody gave."""
    for epochs, expected in ((1, 0.5), (2, 1.0), (3, 2.0)):
        found = resolve([preset_layer("demo"), ("--epochs", {"epochs": epochs})])
        told = f"lr_warmup is {expected:g}: preset demo, shortened from 2 to fit --epochs {epochs}"
        assert found.settings.lr_warmup == expected
        assert found.remarks() == [PRESETS["demo"].source, *[told] * (expected < 2)]
    short = resolve([preset_layer("demo"), ("--epochs", {"epochs": 1})])
    run = run_layers(short.settings, short.origins)
    assert resolve(run).remarks() == []
    longer = resolve([*run, preset_layer("demo"), ("--epochs", {"epochs": 9})])
    assert longer.settings.lr_warmup == 0.5, "as the run was begun, with the same words and more epochs"
    given = resolve([*run, ("--set", {"lr_warmup": 0.25})])
    assert (given.settings.lr_warmup, given.origins["lr_warmup"]) == (0.25, "--set")
    with pytest.raises(SettingError, match="lr_warmup must be 0 to below 1 epochs, but is 2"):
        resolve([preset_layer("demo"), ("--set", {"lr_warmup": 2.0}), ("--epochs", {"epochs": 1})])


def test_assignments_are_toml_or_bare_text() -> None:
    _, layer = assignment_layer(["a=1", "b = true", "c=auto", 'd="x y"', "e=0.5"])
    assert layer == {"a": 1, "b": True, "c": "auto", "d": "x y", "e": 0.5}
    with pytest.raises(SettingError, match="--set must be key=value, but is 'lr'"):
        assignment_layer(["lr"])


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("lr 0.1")
    with pytest.raises(SettingError, match=r"bad.toml' must be a TOML file"):
        file_layer(tmp_path / "bad.toml")


def test_a_run_goes_on_as_it_was_begun_and_both_sides_are_shown() -> None:
    begun, now = lasting(Settings(lr=0.1, threads=1)), lasting(Settings(lr=0.2, threads=8))
    require_same(begun, lasting(Settings(lr=0.1, threads=8)), Path("run"))
    with pytest.raises(RunError, match=r"lr: 0.1 in the run, 0.2 now. Leave .* --out NEW --weights 'run'"):
        require_same(begun, now, Path("run"))
