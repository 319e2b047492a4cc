"""The admin pages of incidents: read only, but for three actions, each with a permission of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from django_lifesigns.alerts.exchange import exchange
from django_lifesigns.models import Delivery, Incident, Silence
from tests.django.incidents import RECORDS_FROM_ELSEWHERE, delivery, incident, silence

pytestmark = pytest.mark.django_db

INCIDENTS, DELIVERIES, SILENCES = (f"/admin/lifesigns/{name}/" for name in ("incident", "delivery", "silence"))
ACTIONS = {
    "acknowledge": ["acknowledge_incident"],
    "silence": ["add_silence"],
    "retry": ["retry_incident"],
}


LOGGED = {
    "acknowledge": "Acknowledge",
    "silence": "Silence the checks for an hour",
    "retry": "Deliver again what was refused or has failed",
}


@pytest.fixture(autouse=True)
def _rows() -> None:
    wrong = delivery("chat", state="refused", last_answer="403 <Forbidden>")
    exchange(
        [incident("one", message="it is <down>", deliveries=[delivery("oncall"), wrong]), incident("two")],
        [silence()],
        application="shop",
        instance="here",
    )


def client_of(*permissions: str, superuser: bool = False) -> Client:
    user = User.objects.create_user("ann", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client(headers={"host": "testserver"})
    client.force_login(user)
    return client


def act(client: Client, path: str, action: str, *keys: str) -> int:
    return client.post(path, {"action": action, "_selected_action": keys}, follow=False).status_code


def done() -> dict[str, bool]:
    """Which of the actions has left a trace."""
    row = Incident.objects.get(pk="one")
    return {
        "acknowledge": row.acknowledged_by == "ann",
        "silence": Silence.objects.filter(checks="check_one", author="ann", ends_at__gt=timezone.now()).exists(),
        "retry": row.retry_requested_at is not None,
    }


@pytest.mark.parametrize("action", ACTIONS)
def test_action_needs_its_permission(action: str) -> None:
    client = client_of("view_incident", *(name for other in ACTIONS if other != action for name in ACTIONS[other]))
    page = client.get(INCIDENTS).content.decode()
    assert f'<option value="{action}"' not in page
    act(client, INCIDENTS, action, "one")
    assert not any(done().values())
    User.objects.all().delete()
    client = client_of("view_incident", *ACTIONS[action])
    assert f'<option value="{action}"' in client.get(INCIDENTS).content.decode()
    assert not LogEntry.objects.exists()
    act(client, INCIDENTS, action, "one")
    assert done() == {**dict.fromkeys(ACTIONS, False), action: True}
    (logged,) = LogEntry.objects.all()
    assert (logged.user.get_username(), logged.object_id, logged.change_message) == ("ann", "one", LOGGED[action])
    assert Incident.objects.get(pk="two").acknowledged_by == ""


def test_list_and_page_show_the_story_and_escape_it() -> None:
    client = client_of("view_incident", "view_delivery")
    page = client.get(INCIDENTS).content.decode()
    assert '<b class="lifesigns-error">firing</b>' in page
    assert "it is &lt;down&gt;" in page
    assert 'oncall: triggered <b class="lifesigns-healthy">delivered</b>' in page
    assert 'chat: triggered <b class="lifesigns-error">refused</b>' in page
    zone = f"{timezone.localtime():%Z}"
    began = timezone.localtime(Incident.objects.get(pk="one").since)
    assert f"{began:%Y-%m-%d %H:%M:%S} {zone}</td>" in page
    page = client.get(f"{INCIDENTS}one/change/").content.decode()
    assert "403 &lt;Forbidden&gt;" in page
    assert f" {zone} triggered: 3 failures in a row</li>" in page
    assert ">child<" in page
    row = Incident.objects.get(pk="one")
    assert str(row) == f"check_one: firing, began {row.since:%Y-%m-%d %H:%M:%S} UTC"
    assert "style=" not in page
    page = client.get(DELIVERIES).content.decode()
    assert "403 &lt;Forbidden&gt;" in page
    assert "check_two" in page


@pytest.mark.parametrize("record", RECORDS_FROM_ELSEWHERE)
def test_page_of_a_row_from_elsewhere(record: Any) -> None:
    Incident.objects.update(record=record)
    assert client_of("view_incident").get(f"{INCIDENTS}one/change/").status_code == 200


@pytest.mark.parametrize("path", [INCIDENTS, DELIVERIES])
def test_recorded_rows_are_read_only(path: str) -> None:
    client = client_of(superuser=True)
    assert "delete_selected" not in client.get(path).content.decode()
    pk = "one" if path == INCIDENTS else Delivery.objects.values_list("pk", flat=True)[0]
    for forbidden in (f"{path}add/", f"{path}{pk}/delete/", f"{path}{pk}/change/"):
        assert client.post(forbidden, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("name", ["incident", "delivery", "silence"])
def test_pages_of_staff_who_may_view_them(name: str) -> None:
    client = client_of()
    assert client.get(f"/admin/lifesigns/{name}/").status_code == 403
    User.objects.all().delete()
    assert client_of(f"view_{name}").get(f"/admin/lifesigns/{name}/").status_code == 200


def test_list_of_open_incidents_and_of_those_that_are_over() -> None:
    Incident.objects.filter(pk="two").update(resolved_at=timezone.now())
    client = client_of("view_incident")

    def listed(**query: Any) -> list[str]:
        return sorted(row.pk for row in client.get(INCIDENTS, query).context["cl"].result_list)

    assert [listed(open="yes"), listed(open="no"), listed(q="check_o")] == [["one"], ["two"], ["one"]]
    assert listed(check_name="check_two") == ["two"]


def test_delivery_is_retried_by_its_incident() -> None:
    client = client_of("view_delivery", "retry_incident")
    (pk,) = Delivery.objects.filter(state="refused").values_list("pk", flat=True)
    act(client, DELIVERIES, "retry", pk)
    assert list(Incident.objects.filter(retry_requested_at__isnull=False).values_list("pk", flat=True)) == ["one"]


def test_silence_is_added_as_that_of_the_user() -> None:
    client = client_of("view_silence", "add_silence")
    page = client.get(f"{SILENCES}add/").content.decode()
    assert 'name="author"' not in page
    assert ">Severity:</label>" in page
    form = {"checks": "redis_*", "severity": "", "group": "", "comment": "upgrade", "author": "somebody else"}
    times = {"starts_at_0": "2026-01-01", "starts_at_1": "00:00", "ends_at_0": "2100-01-01", "ends_at_1": "00:00"}
    assert client.post(f"{SILENCES}add/", {**form, **times}).status_code == 302
    row = Silence.objects.get(checks="redis_*")
    assert (row.author, row.comment, row.ends_at.year) == ("ann", "upgrade", 2100)
    over = client.post(f"{SILENCES}add/", {**form, **times, "ends_at_0": "2025-01-01"})
    assert over.status_code == 200
    assert b"Must be after the start" in over.content


FORM = {"checks": "redis_*", "severity": "", "group": "", "comment": ""}
TIMES = {"starts_at_0": "2026-01-01", "starts_at_1": "00:00", "ends_at_0": "2100-01-01", "ends_at_1": "00:00"}


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"checks": "cpu_load, disk_spce"}, "There is no &#x27;disk_spce&#x27;. Did you mean &#x27;disk_space&#x27;?"),
        ({"group": "wrker"}, "There is no &#x27;wrker&#x27;."),
    ],
)
def test_silence_of_what_there_is_not_is_refused_with_the_nearest(wrong: dict[str, str], text: str) -> None:
    answer = client_of("view_silence", "add_silence").post(f"{SILENCES}add/", {**FORM, **TIMES, **wrong})
    assert answer.status_code == 200
    assert text in answer.content.decode()


def test_silence_for_which_there_is_no_room_is_refused() -> None:
    """It would be shown as if it were in force."""
    client, later = client_of("view_silence", "add_silence"), timezone.now() + timedelta(days=1)
    Silence.objects.bulk_create(Silence(ends_at=later) for _ in range(200 - Silence.objects.count()))
    full = client.post(f"{SILENCES}add/", {**FORM, **TIMES})
    assert (full.status_code, b"room for no more" in full.content) == (200, True)
    Silence.objects.filter(pk="quiet").delete()
    assert client.post(f"{SILENCES}add/", {**FORM, **TIMES}).status_code == 302


def test_silence_is_ended_with_permission_and_neither_changed_nor_deleted() -> None:
    client = client_of("view_silence", "add_silence", "delete_silence")
    act(client, SILENCES, "end", "quiet")
    assert Silence.objects.get().ends_at > timezone.now()
    for forbidden in ("delete", "change"):
        assert client.post(f"{SILENCES}quiet/{forbidden}/", {"post": "yes"}).status_code == 403
    User.objects.all().delete()
    act(client_of("view_silence", "change_silence"), SILENCES, "end", "quiet")
    assert Silence.objects.get().ends_at <= timezone.now()
