"""Incidents and silences as an engine has them, for what writes them into the tables."""

from __future__ import annotations

import time
from typing import Any

NOW = time.time()
RECORDS_FROM_ELSEWHERE: list[Any] = [
    [],
    "x",
    {"timeline": None, "blocked": None, "deliveries": 7},
    {"timeline": [{"at": 1e20, "kind": "a", "text": "b"}], "blocked": [7], "deliveries": [{}, 7]},
]


def incident(identifier: str = "one", revision: int = 1, **changes: Any) -> dict[str, Any]:
    """An open incident, of which one channel knows and another one does not yet."""
    return {
        "id": identifier,
        "check": f"check_{identifier}",
        "state": "firing",
        "severity": "critical",
        "since": NOW - 60,
        "fired_at": NOW - 30,
        "resolved_at": None,
        "message": "Connection refused",
        "blocked": ["child"],
        "acknowledged_by": None,
        "comment": None,
        "flapping": False,
        "revision": revision,
        "timeline": [{"at": NOW - 30, "kind": "triggered", "text": "3 failures in a row"}],
        "deliveries": [delivery("oncall"), delivery("chat", state="pending", attempts=3, last_answer="503")],
        **changes,
    }


def delivery(channel: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "channel": channel,
        "number": number,
        "kind": "triggered",
        "state": "delivered",
        "attempts": 1,
        "last_attempt_at": NOW - 29,
        "last_answer": "202",
        "next_attempt_at": None,
        **changes,
    }


def silence(identifier: str = "quiet", **changes: Any) -> dict[str, Any]:
    matchers = {"check": ["database_*"], "severity": [], "group": []}
    times = {"start": NOW - 10, "end": NOW + 3_600}
    return {"id": identifier, "matchers": matchers, **times, "author": "ann", "comment": "deploy", **changes}
