"""From the incidents and silences of the engine to rows of the tables, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from django.db.models.functions import Now

from django_lifesigns.alerts.tables import AUTHOR, MATCHER, NAME, Delivery, Incident, Silence
from django_lifesigns.checks.timezones import kept, utc
from django_lifesigns.history.rows import without_nul

# What the engine writes; everything else of a row is written by those who acknowledge, retry, or own it.
INCIDENT_FIELDS = (
    "application",
    "check_name",
    "state",
    "severity",
    "message",
    "since",
    "fired_at",
    "resolved_at",
    "acknowledged_by",
    "acknowledgement",
    "is_flapping",
    "revision",
    "record",
    "instance",
    "mirrored_at",
)
DELIVERY_FIELDS = (
    "kind",
    "state",
    "attempts",
    "last_answer",
    "last_attempt_at",
    "next_attempt_at",
)
LONGEST = 255
# No notice has a larger number.
LARGEST_NUMBER = 1 << 31
# What is shown of a delivery.
SHOWN = {"channel", "kind", "state", "last_answer"}
# No time is later: the end of the year 9998.
LATEST = 253_370_764_799
JOINT = ", "


def incident_row(found: Mapping[str, Any], application: str, instance: str) -> Incident:
    """Return the row of an incident of the engine."""
    return Incident(
        id=found["id"],
        application=application,
        check_name=found["check"][:NAME],
        state=found["state"],
        severity=found["severity"],
        message=without_nul(found["message"]),
        since=moment(found["since"]),
        fired_at=moment_if(found["fired_at"]),
        resolved_at=moment_if(found["resolved_at"]),
        acknowledged_by=(found["acknowledged_by"] or "")[:AUTHOR],
        acknowledgement=without_nul(found["comment"] or ""),
        is_flapping=found["flapping"],
        revision=found["revision"],
        record=without_nul(found),
        instance=instance[:LONGEST],
        mirrored_at=Now(),
    )


def delivery_rows(found: Mapping[str, Any]) -> list[Delivery]:
    """Return the rows of an incident's deliveries."""
    return [
        Delivery(
            id=f"{found['id']}:{delivery['channel']}:{delivery['number']:06}"[:LONGEST],
            incident_id=found["id"],
            channel=delivery["channel"][:NAME],
            kind=delivery["kind"],
            state=delivery["state"],
            attempts=delivery["attempts"],
            last_answer=without_nul(delivery["last_answer"] or ""),
            last_attempt_at=moment_if(delivery["last_attempt_at"]),
            next_attempt_at=moment_if(delivery["next_attempt_at"]),
        )
        for delivery in found["deliveries"]
    ]


def silence_row(found: Mapping[str, Any]) -> Silence:
    """Return the row of a silence of the engine."""
    matchers = {key: JOINT.join(found["matchers"][key])[:MATCHER] for key in ("check", "severity", "group")}
    return Silence(
        id=found["id"],
        checks=matchers["check"] or "*",
        severity=matchers["severity"],
        group=matchers["group"],
        starts_at=moment(found["start"]),
        ends_at=moment(found["end"]),
        author=found["author"][:AUTHOR],
        comment=without_nul(found["comment"]),
    )


def story(row: Incident) -> dict[str, Any]:
    """Return an incident as the engine has it, with what of that can be shown: the row may be from elsewhere."""
    record = row.record if isinstance(row.record, dict) else {}
    lists = {key: record[key] for key in ("blocked", "timeline", "deliveries") if isinstance(record.get(key), list)}
    return {
        **record,
        "id": row.pk,
        "check": row.check_name,
        "severity": row.severity,
        "message": row.message,
        "since": seconds(row.since),
        "blocked": [name for name in lists.get("blocked", ()) if isinstance(name, str)],
        "timeline": [entry for entry in lists.get("timeline", ()) if _is_entry(entry)],
        "deliveries": [one for one in lists.get("deliveries", ()) if isinstance(one, dict) and one.keys() >= SHOWN],
    }


def last_number(row: Incident) -> int:
    """Return the number of the last notice of an incident, 0 where there is none."""
    numbers = (delivery.get("number") for delivery in story(row)["deliveries"])
    return max((number for number in numbers if isinstance(number, int) and 0 <= number < LARGEST_NUMBER), default=0)


def known_incident(row: Incident) -> dict[str, Any]:
    """Return the same with what others have written into the row since."""
    resolved = None if row.resolved_at is None else seconds(row.resolved_at)
    own = {"state": row.state, "acknowledged_by": row.acknowledged_by or None, "resolved_at": resolved}
    return {**story(row), **own}


def _is_entry(entry: object) -> bool:
    """Return whether it is an entry of a timeline."""
    if not isinstance(entry, dict) or not entry.keys() >= {"at", "kind", "text"}:
        return False
    return isinstance(entry["at"], (int, float)) and 0 <= entry["at"] <= LATEST


def matchers_of(row: Silence) -> dict[str, list[str]]:
    """Return what a silence matches, as the engine takes it."""
    given = {"check": row.checks, "severity": row.severity, "group": row.group}
    return {key: [part.strip() for part in value.split(",") if part.strip()] for key, value in given.items()}


def moment(at: float) -> datetime:
    """Return seconds since 1970 as the tables have them."""
    return kept(datetime.fromtimestamp(at, timezone.utc))


def moment_if(at: float | None) -> datetime | None:
    """Return the same, where there is one."""
    return None if at is None else moment(at)


def seconds(at: datetime) -> float:
    """Return a time of the tables in seconds since 1970."""
    return utc(at).timestamp()
