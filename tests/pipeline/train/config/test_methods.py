"""Each method has its weight head, its policy and its settings."""

from __future__ import annotations

from sciu.pipeline.train.config.methods import METHODS, policy_of, users_of
from sciu.pipeline.train.config.settings import TYPES, Settings
from sciu.purification import Auto, Elr, Keep, Sciu, Scn


def test_policies() -> None:
    assert policy_of(Settings(method="elr", pull=2.0)) == Elr(pull=2.0)
    auto = policy_of(Settings(method="auto", epochs=25, sure=0.95))
    assert auto == Auto(act_after=5, sure=0.95)
    assert policy_of(Settings(method="sciu", prune_below=0.6, window=2)) == Sciu(prune_below=0.6, window=2)
    assert policy_of(Settings(method="sciu", cgp=False, fgc=False)) == Sciu(prune_below=None, correct_above=None)
    assert policy_of(Settings(method="scn", relabel_above=0.3, warmup=4)) == Scn(relabel_above=0.3, warmup=4)
    assert all(isinstance(policy_of(Settings(method=method)), Keep) for method in ("plain", "sce", "mae"))


def test_weight_heads() -> None:
    heads = {name: method.weight_head for name, method in METHODS.items() if method.weight_head != "none"}
    assert heads == {"sciu": "mlp", "scn": "linear"}


def test_methods_use_settings_that_there_are() -> None:
    assert {setting for method in METHODS.values() for setting in method.uses} <= set(TYPES)
    assert users_of("relabel_above") == ("scn",)
    assert users_of("lr") == tuple(METHODS)
