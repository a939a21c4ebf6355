"""Every policy by the name of its method, and how a store keeps it."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from sciu.purification.errors import PolicyError
from sciu.purification.rules.auto.policy import Auto, Elr
from sciu.purification.rules.policy import Keep, Policy, Sciu, Scn

POLICIES: dict[str, type[Policy]] = {rule.method: rule for rule in (Auto, Elr, Keep, Sciu, Scn)}


def policy_to_json(policy: Policy) -> dict[str, Any]:
    """Return what `policy_from_json` takes."""
    return {"method": policy.method, **asdict(policy)}


def policy_from_json(content: dict[str, Any]) -> Policy:
    """Build a policy from JSON, with all checks."""
    rule = rule_of(content)
    known = {setting.name for setting in fields(rule)}
    return rule(**{name: value for name, value in content.items() if name in known})


def rule_of(content: dict[str, Any]) -> type[Policy]:
    """Return the class of a policy in JSON."""
    method = content.get("method")
    if not isinstance(method, str) or method not in POLICIES:
        raise PolicyError(f"method must be one of {[*POLICIES]}, but is {method!r}. Use the version that wrote it.")
    return POLICIES[method]
