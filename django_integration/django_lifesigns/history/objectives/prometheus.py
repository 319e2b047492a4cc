"""Objectives as Prometheus rules, with the names of Sloth's, so that boards made for those work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_lifesigns.history.json_text import to_json
from django_lifesigns.history.objectives.budget import (
    LEAST_BAD_SECONDS,
    LEAST_STRETCHES,
    WINDOWS,
    Pair,
    pairs_of,
)
from django_lifesigns.history.objectives.targets import Target
from django_lifesigns.history.objectives.yaml import dump

SECONDS = "health_check_status_seconds_total"
STATUS = "health_check_status"


def bad_statuses(target: Target) -> str:
    """Return the statuses that spend the budget, as a regular expression."""
    return "degraded|error" if target.degraded_is_bad else "error"


def rules(service: str, targets: Mapping[str, Target]) -> str:
    """Write recording rules and alerts for each check, from the seconds that it spent in each status."""
    groups: list[dict[str, Any]] = []
    for check, target in targets.items():
        name = f"{service}-{check}"
        labels = {"sloth_id": name, "sloth_service": service, "sloth_slo": check}
        groups += [
            {"name": f"sloth-slo-sli-recordings-{name}", "rules": _indicators(check, target, labels)},
            {"name": f"sloth-slo-meta-recordings-{name}", "rules": _about(target, labels)},
            {"name": f"sloth-slo-alerts-{name}", "rules": _alerts(check, target, labels)},
        ]
    return dump({"groups": groups})


def _indicators(check: str, target: Target, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    of_check = f"check_name={to_json(check)}"

    def ratio(window: str) -> str:
        bad = f'sum(rate({SECONDS}{{{of_check},status=~"{bad_statuses(target)}"}}[{window}]))'
        known = f'sum(rate({SECONDS}{{{of_check},status=~"healthy|degraded|error"}}[{window}]))'
        return f"{bad} / ({known} > 0)"

    recorded = [_record(f"slo:sli_error:ratio_rate{window}", ratio(window), labels, window) for window in WINDOWS]
    if target.window in WINDOWS:
        return recorded
    # As the mean of the short ones: of 30 days of counters Prometheus would read every sample.
    short = f"slo:sli_error:ratio_rate5m{_selector(labels)}"
    period = f"sum_over_time({short}[{target.window}]) / count_over_time({short}[{target.window}])"
    return [*recorded, _record(f"slo:sli_error:ratio_rate{target.window}", period, labels, target.window)]


def _about(target: Target, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    select = _selector(labels)
    budget = f"on(sloth_id, sloth_slo, sloth_service) group_left slo:error_budget:ratio{select}"
    return [
        _record("slo:objective:ratio", f"vector({target.ratio!r})", labels),
        _record("slo:error_budget:ratio", f"vector({target.budget!r})", labels),
        _record("slo:time_period:days", f"vector({target.days})", labels),
        _record("slo:current_burn_rate:ratio", f"slo:sli_error:ratio_rate5m{select} / {budget}", labels),
        _record("slo:period_burn_rate:ratio", f"slo:sli_error:ratio_rate{target.window}{select} / {budget}", labels),
        _record("slo:period_error_budget_remaining:ratio", f"1 - slo:period_burn_rate:ratio{select}", labels),
    ]


def _alerts(check: str, target: Target, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    alerts = []
    for severity in ("page", "ticket"):
        pairs = [pair for pair in pairs_of(target) if pair.severity == severity]
        if pairs:
            alerts.append(
                {
                    "alert": "LifesignsBudgetBurns",
                    "expr": " or ".join(f"({_fires(check, target, pair, labels)})" for pair in pairs),
                    "labels": {"sloth_severity": severity, "severity": "critical" if severity == "page" else "warning"},
                    "annotations": {
                        "summary": f"{check} spends its error budget too fast",
                        "description": f"{target.target:g}% of {target.days} days are to be good.",
                    },
                }
            )
    return alerts


def _fires(check: str, target: Target, pair: Pair, labels: Mapping[str, str]) -> str:
    limit = f"({pair.factor(target.days):.6g} * {target.budget!r})"
    burns = [
        f"max(slo:sli_error:ratio_rate{window}{_selector(labels)} > {limit}) without (sloth_window)"
        for window in (pair.short, pair.long)
    ]
    # As many series as instances: the mean over these.
    of_check = f'{{check_name={to_json(check)},status=~"{bad_statuses(target)}"}}[{pair.long}]'
    seconds = f"avg(sum without (status) (increase({SECONDS}{of_check}))) >= {LEAST_BAD_SECONDS:g}"
    # A stretch is two changes; the last may not have ended.
    stretches = f"avg(sum without (status) (changes({STATUS}{of_check}))) >= {2 * LEAST_STRETCHES - 1}"
    return f"{' and '.join(burns)} and on() ({seconds} or {stretches})"


def _record(name: str, expression: str, labels: Mapping[str, str], window: str = "") -> dict[str, Any]:
    more = {"sloth_window": window} if window else {}
    return {"record": name, "expr": expression, "labels": {**labels, **more}}


def _selector(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name}={to_json(value)}" for name, value in labels.items()) + "}"
