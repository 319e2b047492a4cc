"""The incidents and silences that a command shows: those of this host's store, and those of all hosts in the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.db import Error
from django.db.models import Q
from django.utils.translation import gettext as _

from django_lifesigns.alerts.exchange import MOST_ROWS
from django_lifesigns.alerts.rows import known_incident, matchers_of, seconds
from django_lifesigns.alerts.tables import Incident, Silence
from django_lifesigns.checks.timezones import kept
from django_lifesigns.history.json_text import to_json
from django_lifesigns.management.base import require_history
from django_lifesigns.management.terminal import Paint, Table
from lifesigns import Engine

# A database that hangs is no reason to wait for long: the store has what is urgent.
WITHIN = 2.0
# Of those that are over.
SHOWN = 50
TIMES = (
    "since",
    "fired_at",
    "acknowledged_at",
    "resolved_at",
    "at",
    "last_attempt_at",
    "next_attempt_at",
    "start",
    "end",
)
NOT_SENT = "not sent"
SHOWN_TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(kw_only=True, slots=True)
class Known:
    """What is known by its id, and why the tables could not be read, if they could not."""

    incidents: dict[str, dict[str, Any]] = field(default_factory=dict)
    silences: dict[str, dict[str, Any]] = field(default_factory=dict)
    unreadable: str = ""

    @property
    def is_open(self) -> list[dict[str, Any]]:
        """Return the incidents that are not over."""
        return [found for found in self.incidents.values() if found["resolved_at"] is None]


def find(engine: Engine | None, application: str, now: float) -> Known:
    """Return what the store of the engine has, None where it is this process's alone, and what the tables have."""
    known = Known()
    try:
        require_history(Incident, WITHIN)
        _read_tables(known, application, now)
    except (Error, ImproperlyConfigured, CommandError) as error:
        known.unreadable = type(error.__cause__ or error).__name__
    if engine is not None:
        # These are newer than what the tables have of them.
        known.incidents |= {found["id"]: {**found, "instance": ""} for found in engine.incidents()}
        for found in engine.silences():
            known.silences.pop(found["id"], None)
            if found["end"] > now:
                known.silences[found["id"]] = dict(found)
    return known


def _read_tables(known: Known, application: str, now: float) -> None:
    at = kept(datetime.fromtimestamp(now, timezone.utc))
    of_application = Incident.objects.filter(application=application)
    latest = of_application.filter(resolved_at__isnull=False).order_by("-since").values("pk")[:SHOWN]
    wanted = Q(resolved_at=None) | Q(pk__in=[row["pk"] for row in latest])
    for row in of_application.filter(wanted)[:MOST_ROWS]:
        known.incidents[row.pk] = {**known_incident(row), "instance": row.instance}
    for silence in Silence.objects.filter(ends_at__gt=at)[:MOST_ROWS]:
        known.silences[silence.pk] = {
            "id": silence.pk,
            "matchers": matchers_of(silence),
            "start": seconds(silence.starts_at),
            "end": seconds(silence.ends_at),
            "author": silence.author,
            "comment": silence.comment,
        }


def in_both(engine: Engine | None, store: Callable[[Engine], object], tables: Callable[[], object]) -> str:
    """Do something in the store of an engine, if there is one, and in the tables.

    Return why the tables could not be written, where the store could: else that is raised.
    """
    if engine is not None:
        store(engine)
    try:
        require_history(Incident, WITHIN)
        tables()
    except (Error, ImproperlyConfigured, CommandError) as error:
        if engine is None:
            raise
        return type(error.__cause__ or error).__name__
    return ""


def json_with_times(value: Any) -> str:
    """Return it as JSON for people: indented, times in words, not in seconds."""
    return to_json(_with_times(value), indent=2)


def _with_times(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        return {name: _with_times(item, name) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_times(item) for item in value]
    is_time = key in TIMES and isinstance(value, (int, float))
    return datetime.fromtimestamp(value, timezone.utc).isoformat() if is_time else value


def incident_table(incidents: Iterable[Mapping[str, Any]], paint: Paint) -> Table:
    """Return a row for each incident, the newest first."""
    header = [_("Check"), _("State"), _("Severity"), _("Since"), _("Acknowledged by"), _("Delivered"), _("Message")]
    rows = [
        [
            found["check"],
            found["state"],
            found["severity"],
            _time(found["since"]),
            found["acknowledged_by"] or "",
            ", ".join(_latest(found["deliveries"])),
            " ".join(found["message"].split()),
        ]
        for found in sorted(incidents, key=lambda found: -found["since"])
    ]
    return Table([header, *rows], (), paint)


def silence_table(silences: Iterable[Mapping[str, Any]], paint: Paint) -> Table:
    """Return a row for each silence."""
    header = [_("Silenced"), _("Until"), _("By"), _("Comment"), _("Id")]
    rows = [
        [
            ", ".join(f"{key} {' '.join(values)}" for key, values in found["matchers"].items() if values),
            _time(found["end"]),
            found["author"],
            " ".join(found["comment"].split()),
            found["id"],
        ]
        for found in sorted(silences, key=lambda found: found["end"])
    ]
    return Table([header, *rows], (), paint)


def _latest(deliveries: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Return the state of the latest notice on each channel."""
    by_channel = {delivery["channel"]: delivery for delivery in deliveries}
    for channel, delivery in by_channel.items():
        answer = delivery["last_answer"] or ""
        # Of what the receiver does by itself, as PagerDuty reminds, nothing is sent.
        is_said = answer and (delivery["state"] != "delivered" or answer.startswith(NOT_SENT))
        yield f"{channel}: {delivery['kind']} {delivery['state']}{f' ({answer})' if is_said else ''}"


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, timezone.utc):{SHOWN_TIME}} UTC"
