"""The admin pages: the history can be read, the thresholds be set."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.staticfiles.finders import find
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_lifesigns.history.date_hierarchy import ByIndex
from django_lifesigns.models import AlertThreshold, HealthCheckLog, ServiceAvailability

pytestmark = pytest.mark.django_db

READ_ONLY = ["healthchecklog", "serviceavailability"]
THRESHOLDS = "/admin/lifesigns/alertthreshold/"


@pytest.fixture
def admin() -> Client:
    client = Client(headers={"host": "testserver"})
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def rows() -> list[HealthCheckLog]:
    """One of each status, and their availability."""
    statuses = ("healthy", "degraded", "error")
    ServiceAvailability.objects.record([(f"check_{status}", status, timezone.now()) for status in statuses])
    return [
        HealthCheckLog.objects.create(
            check_name=f"check_{status}",
            status=status,
            message=f"it is <{status}>",
            duration_ms=1,
            correlation_id=uuid4(),
        )
        for status in statuses
    ]


def listed(client: Client, path: str, **query: Any) -> list[str]:
    """The checks in a list of the history."""
    response = client.get(f"/admin/lifesigns/healthchecklog/{path}", query)
    assert response.status_code == 200
    return sorted(row.check_name for row in response.context["cl"].result_list)


@pytest.mark.parametrize("model", READ_ONLY)
def test_history__is_read_only(admin: Client, rows: Any, model: str) -> None:
    path = f"/admin/lifesigns/{model}/"
    page = admin.get(path).content.decode()
    assert "check_healthy" in page
    assert "delete_selected" not in page
    pk = (HealthCheckLog if model == "healthchecklog" else ServiceAvailability)._base_manager.latest("pk").pk
    shown = admin.get(f"{path}{pk}/change/")
    assert shown.status_code == 200
    assert b'name="_save"' not in shown.content
    for forbidden in (f"{path}add/", f"{path}{pk}/delete/", f"{path}{pk}/change/"):
        assert admin.post(forbidden, {"post": "yes"}).status_code == 403


def test_history__status_in_colour_and_text_escaped(admin: Client, rows: Any) -> None:
    page = admin.get("/admin/lifesigns/healthchecklog/").content.decode()
    assert '<link href="/static/lifesigns/admin.css"' in page
    assert "style=" not in page
    style = Path(str(find("lifesigns/admin.css"))).read_text()
    for status in ("healthy", "degraded", "error"):
        assert f'<b class="lifesigns-{status}">{status}</b>' in page
        assert f"b.lifesigns-{status} {{ color: " in style
    assert "it is &lt;error&gt;" in page


@pytest.mark.parametrize("model", READ_ONLY)
def test_history__of_staff_who_may_view_it(rows: Any, model: str) -> None:
    someone = User.objects.create_user("someone", is_staff=True)
    client = Client(headers={"host": "testserver"})
    client.force_login(someone)
    assert client.get(f"/admin/lifesigns/{model}/").status_code == 403
    someone.user_permissions.add(Permission.objects.get(codename=f"view_{model}"))
    assert b"check_error" in client.get(f"/admin/lifesigns/{model}/").content
    assert client.get(THRESHOLDS).status_code == 403


def test_thresholds__of_staff_who_may_only_view_them() -> None:
    someone = User.objects.create_user("someone", is_staff=True)
    someone.user_permissions.add(Permission.objects.get(codename="view_alertthreshold"))
    client = Client(headers={"host": "testserver"})
    client.force_login(someone)
    assert client.get(THRESHOLDS).status_code == 200
    form = {"metric_type": "cpu_load", "alert_level": "warning", "threshold_value": "0.5", "enabled": "on"}
    assert client.post(f"{THRESHOLDS}add/", form).status_code == 403


def test_history__filters_and_search(admin: Client, rows: list[HealthCheckLog]) -> None:
    assert listed(admin, "", status__exact="error") == ["check_error"]
    assert listed(admin, "", check="check_degraded") == ["check_degraded"]
    assert listed(admin, "", q="degraded") == ["check_degraded"]
    assert listed(admin, "", q=str(rows[0].correlation_id)) == ["check_healthy"]
    assert listed(admin, "", checked_at__year=timezone.now().year) == ["check_degraded", "check_error", "check_healthy"]
    assert listed(admin, "", checked_at__year=1999) == []


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Auckland"])
def test_history__periods_are_those_of_the_database(zone: str) -> None:
    # Ends of days, months and years, days on which clocks change, a leap day.
    days = ["2024-02-29", "2024-03-31", "2024-10-27", "2025-12-31", "2026-01-01", "2026-03-29", "2026-10-25"]
    for day, hour in product(days, ("00:30", "02:30", "23:30")):
        at = datetime.fromisoformat(f"{day}T{hour}:00+00:00")
        HealthCheckLog.objects.create(check_name="x", status="healthy", duration_ms=1, checked_at=at)
    with timezone.override(zone):
        for kind in ("year", "month", "day"):
            expected = list(HealthCheckLog.objects.order_by().datetimes("checked_at", kind))
            assert ByIndex(HealthCheckLog).datetimes("checked_at", kind) == expected


def test_history__date_hierarchy_reads_no_row_twice(admin: Client, rows: Any) -> None:
    HealthCheckLog.objects.filter(check_name="check_error").update(checked_at=timezone.now() - timedelta(days=800))
    year = timezone.now().year
    with CaptureQueriesContext(connection) as captured:
        page = admin.get("/admin/lifesigns/healthchecklog/").content.decode()
        months = admin.get("/admin/lifesigns/healthchecklog/", {"checked_at__year": year}).content.decode()
    assert f"?checked_at__year={year}" in page
    assert f"?checked_at__year={(timezone.now() - timedelta(days=800)).year}" in page
    assert f"checked_at__month={timezone.now().month}" in months
    assert [query["sql"] for query in captured.captured_queries if "DISTINCT" in query["sql"]] == []


def test_history__one_count(admin: Client, rows: Any, django_assert_max_num_queries: Any) -> None:
    """Of a million rows, counting is what takes long."""
    with django_assert_max_num_queries(8) as captured:
        admin.get("/admin/lifesigns/healthchecklog/")
    counts = [query["sql"] for query in captured.captured_queries if "COUNT(" in query["sql"]]
    assert len(counts) == 1, counts


@pytest.mark.parametrize(
    ("level", "value", "said"),
    [
        ("warning", "85", None),
        ("warning", "95", "must be below the critical threshold, 90"),
        ("warning", "x", "number"),
    ],
)
def test_thresholds__validated(admin: Client, level: str, value: str, said: str | None) -> None:
    form = {"metric_type": "disk_usage", "alert_level": level, "threshold_value": value, "enabled": "on"}
    response = admin.post(f"{THRESHOLDS}add/", form)
    assert (response.status_code == 302) == (said is None)
    assert AlertThreshold.objects.exists() == (said is None)
    if said:
        assert said in response.content.decode()
    else:
        page = admin.get(THRESHOLDS).content.decode()
        assert "Disk usage (%)" in page
        assert "85.0" in page
        assert "80" in page


def test_thresholds__one_for_each_metric_and_level(admin: Client) -> None:
    form = {"metric_type": "cpu_load", "alert_level": "warning", "threshold_value": "0.5", "enabled": "on"}
    assert admin.post(f"{THRESHOLDS}add/", form).status_code == 302
    assert admin.post(f"{THRESHOLDS}add/", form).status_code == 200
    assert AlertThreshold.objects.count() == 1
