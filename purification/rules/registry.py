"""Every policy by the name of its method, and how a store keeps it."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from sciu.purification.rules.auto.policy import Auto, Elr
from sciu.purification.rules.policy import Keep, Policy, Sciu, Scn

POLICIES: dict[str, type[Policy]] = {rule.method: rule for rule in (Auto, Elr, Keep, Sciu, Scn)}


def policy_to_json(policy: Policy) -> dict[str, Any]:
    """Return what `policy_from_json` takes."""
    return {"method": policy.method, **asdict(policy)}


def policy_from_json(content: dict[str, Any]) -> Policy:
    """Build a policy from JSON, with all checks."""
    rule = POLICIES[content["method"]]
    known = {setting.name for setting in fields(rule)}
    return rule(**{name: value for name, value in content.items() if name in known})
