"""Settings are checked and kept with the store, and a remark says where they have no effect."""

from __future__ import annotations

import json

import pytest

from sciu.purification import Keep, PolicyError, Sciu, Scn
from sciu.purification.rules.policy import Policy
from sciu.purification.rules.registry import policy_from_json, policy_to_json


@pytest.mark.parametrize("policy", [Keep(window=2), Sciu(prune_below="auto", correct_above=None), Scn(low_share=0.3)])
def test_policies_survive_being_stored(policy: Policy) -> None:
    assert policy_from_json(json.loads(json.dumps(policy_to_json(policy)))) == policy


def test_presets_are_the_papers() -> None:
    ferv39k, dfew, mafw = (Sciu.for_dataset(name) for name in ("ferv39k", "dfew", "mafw"))
    assert (ferv39k.prune_below, ferv39k.correct_above, ferv39k.window) == (0.7, 0.2, 3)
    assert (dfew.prune_below, dfew.correct_above, dfew.window) == (0.6, 0.4, 2)
    assert mafw.remarks()[0].startswith("thresholds for MAFW are not published")
    assert Sciu.for_dataset("dfew", warmup=5).warmup == 5
    with pytest.raises(PolicyError, match="preset must be one of .* but is 'afew'"):
        Sciu.for_dataset("afew")


def test_a_tau_without_effect_is_said() -> None:
    (remark,) = Sciu(prune_below=0.7, correct_above=0.2).remarks()
    assert remark.startswith(
        "correct_above 0.2 has no effect up to 0.40: what is predicted stably with a score above 0.7"
    )
    assert Sciu(prune_below=0.6, correct_above=0.4).remarks() == []


@pytest.mark.parametrize(
    ("rule", "settings", "message"),
    [
        (Sciu, {"prune_below": 1.5}, "`prune_below` must be between 0 and 1, but is 1.5"),
        (Sciu, {"correct_above": "often"}, "`correct_above` must be between 0 and 1, but is 'often'"),
        (Sciu, {"window": 0}, "`window` must be a whole number from 1 to 32, but is 0"),
        (Sciu, {"window": 33}, "`window` must be a whole number from 1 to 32, but is 33"),
        (Sciu, {"warmup": -1}, "`warmup` must be a whole number at least 0, but is -1"),
        (Sciu, {"warmup": True}, "`warmup` must be a whole number"),
        (Sciu, {"max_pruned": -0.1}, "`max_pruned` must be between 0 and 1"),
        (Sciu, {"confidence": "both"}, "`confidence` must be 'predicted' or 'label', but is 'both'"),
        (Scn, {"window": 2}, "`window` must be 1 for SCN"),
        (Scn, {"low_share": 2}, "`low_share` must be between 0 and 1, but is 2"),
    ],
)
def test_settings_that_make_no_sense(rule: type[Keep], settings: dict[str, object], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        rule(**settings)  # type: ignore[arg-type]
