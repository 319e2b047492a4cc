"""Objectives as OpenSLO v1: https://github.com/OpenSLO/OpenSLO."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django_lifesigns.history.json_text import to_json
from django_lifesigns.history.objectives.budget import pairs_of
from django_lifesigns.history.objectives.prometheus import SECONDS, bad_statuses
from django_lifesigns.history.objectives.targets import Target
from django_lifesigns.history.objectives.yaml import dump

NOT_IN_NAMES = re.compile(r"[^a-z0-9-]+")


def documents(service: str, targets: Mapping[str, Target]) -> str:
    """Write a service, and an SLO with its alert policy for each check, as documents of one file."""
    objects = [_object("Service", _name(service), service, {"description": "Health checks of Lifesigns"})]
    for check, target in targets.items():
        objects.append(_slo(service, check, target))
    return "---\n".join(map(dump, objects))


def _slo(service: str, check: str, target: Target) -> dict[str, Any]:
    name = _name(f"{service}-{check}")
    of_check = f"check_name={to_json(check)}"

    def query(statuses: str) -> dict[str, Any]:
        text = f'sum({SECONDS}{{{of_check},status=~"{statuses}"}})'
        return {"metricSource": {"type": "Prometheus", "spec": {"query": text}}}

    # What occurs is a second, of which the known ones count.
    ratio = {"counter": True, "bad": query(bad_statuses(target)), "total": query("healthy|degraded|error")}
    return _object(
        "SLO",
        name,
        check,
        {
            "description": f"{target.target:g}% of the known time of {target.days} days are good",
            "service": _name(service),
            "indicator": {"metadata": {"name": f"{name}-time"}, "spec": {"ratioMetric": ratio}},
            "timeWindow": [{"duration": target.window, "isRolling": True}],
            "budgetingMethod": "Occurrences",
            "objectives": [{"displayName": check, "target": target.ratio}],
            "alertPolicies": [_policy(name, target)],
        },
    )


def _policy(name: str, target: Target) -> dict[str, Any]:
    conditions = [
        {
            "kind": "AlertCondition",
            "metadata": {"name": f"{name}-{pair.long}"},
            "spec": {
                "severity": pair.severity,
                "condition": {
                    "kind": "burnrate",
                    "op": "gt",
                    "threshold": round(pair.factor(target.days), 6),
                    "lookbackWindow": pair.long,
                    "alertAfter": pair.short,
                },
            },
        }
        for pair in pairs_of(target)
    ]
    spec = {"alertWhenBreaching": True, "conditions": conditions}
    return {"kind": "AlertPolicy", "metadata": {"name": f"{name}-burns"}, "spec": spec}


def _object(kind: str, name: str, shown: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "openslo/v1",
        "kind": kind,
        "metadata": {"name": name, "displayName": shown},
        "spec": dict(spec),
    }


def _name(text: str) -> str:
    """Return the text as a name of RFC 1123."""
    return NOT_IN_NAMES.sub("-", text.lower()).strip("-")[:63]
