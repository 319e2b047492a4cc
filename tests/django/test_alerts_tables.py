"""The tables of incidents: what is new goes there once, and what people and other hosts wrote comes back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_lifesigns.alerts import operations
from django_lifesigns.alerts.exchange import ABANDONED_AFTER, Exchange, exchange
from django_lifesigns.alerts.rows import matchers_of
from django_lifesigns.models import Delivery, Incident, Silence
from tests.django.conftest import NewDatabase
from tests.django.incidents import NOW, delivery, incident, silence
from tests.django.projects import run_json

pytestmark = pytest.mark.django_db


def exchanged(*incidents: dict[str, Any], silences: Any = (), instance: str = "here") -> Exchange:
    return exchange(incidents, silences, application="shop", instance=instance)


def test_incident_is_written_with_its_deliveries() -> None:
    assert exchanged(incident()).confirmed == {"one": 1}
    row = Incident.objects.get()
    assert (row.pk, row.application, row.check_name, row.state) == ("one", "shop", "check_one", "firing")
    assert row.since.timestamp() == pytest.approx(NOW - 60, abs=0.001)
    assert row.resolved_at is None
    assert row.record == incident()
    found = {one.channel: (one.state, one.attempts, one.last_answer) for one in row.deliveries.all()}
    assert found == {"oncall": ("delivered", 1, "202"), "chat": ("pending", 3, "503")}


def test_incident_is_written_again_only_with_a_newer_revision() -> None:
    exchanged(incident(revision=2))
    assert exchanged(incident(revision=1, message="older")).confirmed == {"one": 2}
    assert exchanged(incident(revision=2, message="same")).confirmed == {"one": 2}
    assert Incident.objects.get().message == "Connection refused"
    done: dict[str, Any] = {"state": "resolved", "resolved_at": NOW, "deliveries": [delivery("chat", attempts=4)]}
    assert exchanged(incident(revision=3, **done)).confirmed == {"one": 3}
    row = Incident.objects.get()
    assert (row.state, row.resolved_at is None) == ("resolved", False)
    assert row.deliveries.get(channel="chat").attempts == 4
    # What the engine has forgotten stays.
    assert row.deliveries.get(channel="oncall").state == "delivered"


def test_delivery_that_the_engine_has_forgotten_is_not_pending() -> None:
    exchanged(incident(deliveries=[delivery("chat", 1, state="pending")]))
    exchanged(incident(revision=2, deliveries=[delivery("chat", 12, kind="reminded")]))
    assert list(Delivery.objects.values_list("kind", "state")) == [("triggered", "replaced"), ("reminded", "delivered")]


def test_exchange_takes_as_many_queries_for_many_as_for_one() -> None:
    counts = []
    for number in (1, 20):  # SQLite takes 999 values in one statement
        silences = [silence(f"{number}-{index}") for index in range(number)]
        with CaptureQueriesContext(connection) as queries:
            found = [incident(f"{number}-{index}") for index in range(number)]
            exchanged(*found, silences=silences, instance=f"host-{number}")
        counts.append(len(queries))
    assert Delivery.objects.count() == 42
    # One is only SQLite's: it takes the lock.
    assert counts[0] == counts[1] <= 10 + 1
    with CaptureQueriesContext(connection) as queries:
        exchanged()
    assert len(queries) <= 4 + 1


def test_text_with_nul_is_written() -> None:
    exchanged(incident(message="a\0b", deliveries=[delivery("chat", last_answer="c\0d")]))
    assert (Incident.objects.get().message, Delivery.objects.get().last_answer) == ("a\ufffdb", "c\ufffdd")


def test_acknowledgement_comes_back_until_the_engine_has_it() -> None:
    exchanged(incident())
    assert operations.acknowledge(Incident.objects.all(), "ann", "on it") == 1
    assert operations.acknowledge(Incident.objects.all(), "bob") == 0
    # Also where the engine writes the row meanwhile.
    (row,) = exchanged(incident(revision=2)).acknowledged
    assert (row.check_name, row.acknowledged_by, row.acknowledgement) == ("check_one", "ann", "on it")
    assert exchanged(incident(revision=3, acknowledged_by="ann", comment="on it")).acknowledged == []
    row = Incident.objects.get()
    assert (row.acknowledged_by, row.acknowledgement) == ("ann", "on it")


def test_prune_removes_what_was_over_by_then() -> None:
    day = 86_400
    exchanged(incident("old", resolved_at=NOW - 2 * day), incident("new", resolved_at=NOW), incident("open"))
    exchanged(silences=[silence("over", start=NOW - 3 * day, end=NOW - 2 * day), silence("quiet")])
    exchanged(incident("lost", deliveries=[]))
    Incident.objects.filter(pk="lost").update(mirrored_at=timezone.now() - timedelta(days=2))
    assert operations.prune(timezone.now() - timedelta(days=1)) == (2, 1)
    assert sorted(Incident.objects.values_list("pk", flat=True)) == ["new", "open"]
    assert Delivery.objects.count() == 4
    assert list(Silence.objects.values_list("pk", flat=True)) == ["quiet"]


def test_incident_that_is_over_is_not_acknowledged() -> None:
    exchanged(incident(resolved_at=NOW))
    assert operations.acknowledge(Incident.objects.all(), "ann") == 0


REFUSED = [delivery("chat", state="refused")]


def test_retry_comes_back_once() -> None:
    both = (incident("one"), incident("two", deliveries=REFUSED))
    exchanged(*both)
    assert operations.retry(Incident.objects.all()) == 1, "of the other nothing was refused"
    assert exchanged(*both).retries == ["two"]
    assert exchanged(*both).retries == []


def test_retry_of_what_the_engine_has_forgotten_comes_back_once_to_its_scope() -> None:
    over: dict[str, Any] = {"resolved_at": NOW, "deliveries": REFUSED}
    exchanged(incident("one", **over), incident("two", **over))
    operations.retry(Incident.objects.filter(pk="two"))
    assert exchanged(instance="there").retries_of_others == []
    assert [row.record for row in exchanged().retries_of_others] == [incident("two", **over)]
    assert exchanged().retries_of_others == []
    # Its scope may be gone.
    Incident.objects.update(retry_requested_at=timezone.now() - ABANDONED_AFTER - timedelta(seconds=1))
    assert [row.pk for row in exchanged(instance="there").retries_of_others] == ["one", "two"]


def aged(pk: str, **changes: Any) -> None:
    Incident.objects.filter(pk=pk).update(
        mirrored_at=timezone.now() - ABANDONED_AFTER - timedelta(seconds=1), **changes
    )


def test_open_incident_is_restored_where_its_scope_was() -> None:
    exchanged(incident("one"), incident("two", resolved_at=NOW, deliveries=[delivery("oncall")]))
    assert exchanged(instance="there").restored == []
    assert exchanged().restored == [incident("one")]


def test_open_incident_of_a_scope_that_is_gone_is_taken_by_one_other() -> None:
    exchanged(incident())
    aged("one")
    assert exchange([], [], application="other", instance="there").restored == []
    assert exchanged(instance="there").restored == [incident()]
    assert Incident.objects.get().instance == "there"
    assert exchanged(instance="elsewhere").restored == []


def test_incident_that_is_over_is_taken_while_a_notice_of_it_is_pending() -> None:
    over: dict[str, Any] = {"state": "resolved", "resolved_at": NOW}
    exchanged(incident("waits", **over), incident("done", deliveries=[delivery("oncall")], **over))
    assert exchanged(instance="there").restored == []
    assert [record["id"] for record in exchanged().restored] == ["waits"]
    aged("waits")
    assert [record["id"] for record in exchanged(instance="there").restored] == ["waits"]
    # Its scope has it, and says so.
    assert exchanged(incident("waits", **over)).restored == []
    aged("waits", instance="here")
    exchanged(incident("waits", **over))
    assert exchanged(instance="there").restored == []


def test_scope_that_was_cut_off_takes_back_what_another_has_resolved() -> None:
    exchanged(incident())
    aged("one")
    assert exchanged(instance="there").restored == [incident()]
    sent = [delivery("oncall"), delivery("oncall", 1_002, kind="resolved")]
    exchanged(incident(revision=9, state="resolved", resolved_at=NOW, deliveries=sent), instance="there")
    found = exchanged(incident(revision=3, message="still"))
    assert (found.resolved_elsewhere, found.confirmed) == ({"one": 1_002}, {"one": 3})
    row = Incident.objects.get()
    assert (row.instance, row.resolved_at, row.revision, row.message) == ("here", None, 3, "still")
    assert exchanged(incident(revision=3)).resolved_elsewhere == {}


def test_open_incident_is_renewed_by_its_scope() -> None:
    exchanged(incident())
    aged("one")
    exchanged(incident())
    assert exchanged(instance="there").restored == []


def test_silence_of_the_engine_is_written_once() -> None:
    for _ in range(2):
        assert exchanged(silences=[silence()]).silences == []
    row = Silence.objects.get()
    assert (row.pk, row.checks, row.severity, row.author) == ("quiet", "database_*", "", "ann")


def test_silence_of_several_matchers_is_the_same_there_and_back() -> None:
    matchers = {"check": ["a", "b*"], "severity": ["critical", "error"], "group": ["web", "worker"]}
    exchanged(silences=[silence(matchers=matchers)])
    row = Silence.objects.get()
    assert (row.checks, row.severity, row.group) == ("a, b*", "critical, error", "web, worker")
    assert matchers_of(row) == matchers


def test_silence_of_the_tables_comes_back_until_the_engine_has_it() -> None:
    row = operations.new_silence("*_cache", author="bob", duration=timedelta(hours=2))
    row.save()
    assert [found.pk for found in exchanged().silences] == [row.pk]
    here = silence(row.pk, start=row.starts_at.timestamp(), end=row.ends_at.timestamp())
    assert exchanged(silences=[here]).silences == []


def test_silence_that_is_ended_here_or_there_ends_everywhere() -> None:
    exchanged(silences=[silence("a"), silence("b")])
    operations.end(Silence.objects.filter(pk="a"))
    found = exchanged(silences=[silence("a"), silence("b", end=NOW - 1)])
    assert found.ended_silences == ["a"]
    assert not Silence.objects.filter(ends_at__gt=timezone.now()).exists()
    assert exchanged().silences == []


def test_silence_ends_after_its_start_and_after_now() -> None:
    now = timezone.now()
    for start, end in ((now, now), (now - timedelta(hours=2), now - timedelta(hours=1))):
        with pytest.raises(ValidationError, match="Must be"):
            Silence(starts_at=start, ends_at=end).full_clean()
    Silence(starts_at=now, ends_at=now + timedelta(hours=1)).full_clean()
    for checks in ("", "my check", "a,,b", "x" * 101):
        with pytest.raises(ValidationError, match="checks"):
            Silence(checks=checks, ends_at=now + timedelta(hours=1)).full_clean()
    Silence(checks="a, b-c.*, d?", ends_at=now + timedelta(hours=1)).full_clean()


EVERYWHERE = """
import json
from django.core.management import call_command
from django_lifesigns.alerts import operations
from django_lifesigns.alerts.exchange import exchange
from django_lifesigns.alerts.rows import matchers_of
from django_lifesigns.models import Delivery, Incident, Silence
from tests.django.incidents import incident, silence

call_command("migrate", "lifesigns", verbosity=0)
def exchanged(*incidents, silences=()):
    return exchange(incidents, silences, application="shop", instance="here")
exchanged(incident(), silences=[silence()])
operations.acknowledge(Incident.objects.all(), "ann")
operations.end(Silence.objects.all())
found = exchanged(incident(revision=2, message="\\u00e9\\0"), silences=[silence()])
print(json.dumps({
    "acknowledged": [row.pk for row in found.acknowledged], "ended": found.ended_silences,
    "restored": [record["id"] for record in exchanged().restored],
    "rows": [Incident.objects.count(), Delivery.objects.count(), Silence.objects.count()],
    "message": Incident.objects.get().message, "since": Incident.objects.get().record["since"] == incident()["since"],
}))
"""


def test_exchange_on_every_database(new_database: NewDatabase, tmp_path: Path) -> None:
    assert run_json(tmp_path, {"DATABASES": {"default": new_database()}}, EVERYWHERE) == {
        "acknowledged": ["one"],
        "ended": ["quiet"],
        "restored": ["one"],
        "rows": [1, 2, 1],
        "message": "é\ufffd",
        "since": True,
    }
