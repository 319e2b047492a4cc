"""What the dashboard shows of the fleet: is it one instance, or the dependency? Bad first."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.history.objectives.sentence import duration
from django_lifesigns.runtime.engine import Runtime
from lifesigns.results import FleetView, InstanceInfo

STATES = {
    "ready": lazy("ready"),
    "not_ready": lazy("not ready"),
    "draining": lazy("draining"),
    "missed": lazy("missed"),
}
# As badges are coloured.
COLOURS = {"ready": "ready", "not_ready": "error", "draining": "draining", "missed": "error"}
FAULTS = {"instance": lazy("these instances"), "dependency": lazy("the dependency")}
# Instances in the table, bad ones first; the others are counted.
MOST = 100


def read_fleet(runtime: Runtime) -> dict[str, Any] | None:
    """Return what the template of the section needs, None without a fleet. Waits for its Redis, for 2 s at most."""
    view = runtime.engine.fleet()
    return None if view is None else fleet_context(view)


def fleet_context(view: FleetView) -> dict[str, Any]:
    """Return the same of a view."""
    instances = sorted(view["instances"], key=_place)
    checks = [
        {"name": name, **check, "fault": FAULTS.get(check["fault"] or "")}
        for name, check in sorted(view["checks"].items())
        if check["failing"]
    ]
    return {
        "visible": view["visible"],
        "reason": view["reason"],
        "states": [(STATES[state], count) for state, count in view["states"].items()],
        "zones": [(zone, sum(states.values())) for zone, states in sorted(view["zones"].items())],
        "skew": {what: sorted(view[what].items()) for what in ("versions", "settings") if len(view[what]) > 1},
        "checks": checks,
        "leases": view["leases"],
        "incidents_holder": view["incidents_holder"],
        "instances": [_shown(instance) for instance in instances[:MOST]],
        "more": max(0, len(instances) - MOST),
    }


def _place(instance: InstanceInfo) -> tuple[bool, bool, str]:
    return instance["state"] == "ready", not instance["failing"], instance["name"]


def _shown(instance: InstanceInfo) -> dict[str, Any]:
    return {
        **instance,
        "state": STATES[instance["state"]],
        "colour": COLOURS[instance["state"]],
        "seen": duration(instance["age_seconds"]),
        "uptime": duration(instance["uptime_seconds"]),
    }
