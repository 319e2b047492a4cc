"""The admin pages: the history can be read, the thresholds be set."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.staticfiles.finders import find
from django.test import Client
from django.utils import timezone

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
