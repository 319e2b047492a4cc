"""One attempt to deliver one notice, as the tests of the channels make it."""

from __future__ import annotations

import json
from typing import Any

from lifesigns import Engine, _core

KEY = "lifesigns/shop/database_connectivity"
SINCE = 1_795_960_800  # 2026-11-29 14:00 UTC


def notice(**changes: Any) -> dict[str, Any]:
    """A trigger of a check that has failed for 12 minutes and 30 seconds, unless `changes` say otherwise."""
    instances = {"failing": 2, "total": 3, "names": ["web-1", "web-2"]}
    return {
        "id": "notice-1",
        "kind": "triggered",
        "at": SINCE + 750,
        "dedup_key": KEY,
        "incident_id": "incident-7",
        "application": "shop",
        "check": "database_connectivity",
        "status": "healthy" if changes.get("kind") == "resolved" else "error",
        "severity": "critical",
        "since": SINCE,
        "message": "127.0.0.1:5432 refused the connection",
        "blocked": ["postgis_extension", "connection_pool"],
        "instances": instances,
        "is_flapping": False,
        "acknowledged_by": "Ada" if changes.get("kind") == "acknowledged" else None,
        "runbook": "https://wiki.example.org/db",
        "url": "https://shop.example.org/health/dashboard/",
    } | changes


def attempt_once(
    channel: Any, notice: dict[str, Any], timeout: float = 5.0, reference: str | None = None
) -> dict[str, Any]:
    """Attempt once to deliver a notice over a channel that is described by its settings."""
    settings = {"CHANNELS": {"channel": channel}, "TIMEOUT": timeout}
    # Not by the keyword of an engine, which has the channel's secrets hidden in this process from then on.
    return _core.Alerts(Engine(log=False)._native, "shop", settings, {}).attempt("channel", notice, reference)


def deliver(
    channel: dict[str, Any],
    kind: str = "triggered",
    *,
    timeout: float = 5.0,
    reference: str | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Return the result of an attempt; no secret may be in it."""
    attempt = attempt_once(channel, notice(kind=kind, **changes), timeout, reference)
    assert "planted" not in json.dumps(attempt).lower(), attempt
    assert "\n" not in attempt["answer"], attempt
    assert len(attempt["answer"]) < 400, attempt
    return attempt


LONG = '<ä🙂&"\\\r\n.%>' * 60  # 600 characters, each of which means something in one of the formats
EXTREME: dict[str, Any] = {
    "id": LONG,
    "dedup_key": f"lifesigns/{LONG}/{LONG}",
    "incident_id": LONG,
    "application": LONG,
    "check": LONG,
    "message": LONG,
    "blocked": [LONG] * 100,
    "instances": {"failing": 100, "total": 100, "names": [LONG] * 100},
    "acknowledged_by": LONG,
    "runbook": f"https://wiki.example.org/{LONG}",
    "url": LONG,
}
