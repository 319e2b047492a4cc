"""The admin pages: the history can be read, the thresholds be set."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.staticfiles.finders import find
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import django_lifesigns
from django_lifesigns.history import search
from django_lifesigns.history.date_hierarchy import ByIndex
from django_lifesigns.models import AlertThreshold, HealthCheckLog, ServiceAvailability
from django_lifesigns.runtime.engine import get_runtime

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
    assert '<link href="/static/lifesigns/palette.css"' in page
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
    year = timezone.localtime().year
    assert listed(admin, "", checked_at__year=year) == ["check_degraded", "check_error", "check_healthy"]
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
    now = timezone.localtime()  # as the admin shows times
    year = now.year
    with CaptureQueriesContext(connection) as captured:
        page = admin.get("/admin/lifesigns/healthchecklog/").content.decode()
        months = admin.get("/admin/lifesigns/healthchecklog/", {"checked_at__year": year}).content.decode()
    assert f"?checked_at__year={year}" in page
    assert f"?checked_at__year={(now - timedelta(days=800)).year}" in page
    assert f"checked_at__month={now.month}" in months
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
        ("warning", "95", "Must be below the critical threshold, 90"),
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
        assert "85%" in page
        assert "80%" in page


def test_thresholds__one_for_each_metric_and_level(admin: Client) -> None:
    form = {"metric_type": "cpu_load", "alert_level": "warning", "threshold_value": "0.5", "enabled": "on"}
    assert admin.post(f"{THRESHOLDS}add/", form).status_code == 302
    again = admin.post(f"{THRESHOLDS}add/", form)
    assert again.status_code == 200
    assert "There is a threshold of this metric and level already: change that one." in again.content.decode()
    assert AlertThreshold.objects.count() == 1


def in_force(client: Client) -> dict[tuple[str, str], tuple[str, str, str]]:
    """Return value, source and default as the list shows them, by metric and level."""
    shown = client.get(THRESHOLDS).context["thresholds"]
    return {(row["metric"], row["level"]): (row["value"], row["source"], row["default"]) for row in shown}


def save(metric: str, level: str, value: float, **more: Any) -> AlertThreshold:
    return AlertThreshold.objects.create(metric_type=metric, alert_level=level, threshold_value=value, **more)


def test_thresholds__in_force_with_units_and_defaults(admin: Client, settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"memory_usage": {"thresholds": {"degraded_above": 60, "error_above": 90}}}}
    save("disk_usage", "warning", 85)
    save("cpu_load", "warning", 0.5, enabled=False)
    found = in_force(admin)
    assert len(found) == 12
    assert found["Disk usage (%)", "Warning"] == ("85%", "saved here", "80%")
    assert found["Disk usage (%)", "Critical"] == ("90%", "default", "90%")
    assert found["Memory usage (%)", "Warning"] == ("60%", "LIFESIGNS setting", "80%")
    assert found["Memory usage (%)", "Critical"] == ("90%", "default", "90%")
    assert found["Load per CPU", "Warning"] == ("0.7 per CPU", "default", "0.7 per CPU")
    assert found["Response time (ms)", "Critical"] == ("3000 ms", "default", "3000 ms")
    assert found["Queue depth", "Warning"] == ("100 tasks", "default", "100 tasks")
    assert found["Error rate (%)", "Warning"] == ("", "not judged until one is saved", "5%")
    save("error_rate", "warning", 7)
    assert in_force(admin)["Error rate (%)", "Warning"] == ("7%", "saved here", "5%")


@pytest.mark.django_db(transaction=True)
def test_thresholds__in_force_are_those_of_the_engine(admin: Client, settings: Any) -> None:
    settings.LIFESIGNS = {}
    save("disk_usage", "critical", 70)
    found = in_force(admin)
    # The warning gives way to what is saved below it.
    assert found["Disk usage (%)", "Warning"][0] == found["Disk usage (%)", "Critical"][0] == "70%"
    runtime = get_runtime()
    runtime.thresholds.sync(10)
    runtime.engine.run(["disk_space"])
    judged: Any = runtime.engine._checks["disk_space"]
    assert (judged.thresholds.degraded_above, judged.thresholds.error_above) == (70, 70)


@pytest.mark.parametrize("value", [float("inf"), -1, 101])
def test_thresholds__a_row_past_validation_is_shown_and_not_in_force(admin: Client, value: float) -> None:
    save("disk_usage", "warning", value)
    save("of another application", "loud", 5)
    assert in_force(admin)["Disk usage (%)", "Warning"] == ("80%", "default", "80%")


def test_thresholds__links_to_set_and_to_change(admin: Client) -> None:
    row = save("disk_usage", "warning", 85)
    page = admin.get(THRESHOLDS).content.decode()
    assert f'<a href="{THRESHOLDS}{row.pk}/change/">Change</a>' in page
    link = f"{THRESHOLDS}add/?metric_type=cpu_load&alert_level=critical"
    assert f'<a href="{link.replace("&", "&amp;")}">Set</a>' in page
    assert '<option value="cpu_load" selected>' in admin.get(link).content.decode()


def test_history__details_are_readable(admin: Client) -> None:
    details = {"disk_usage": {"/": {"percent_used": 51.7, "status": "<ok>"}}}
    row = HealthCheckLog.objects.create(
        check_name="a", status="healthy", message="m" * 300, duration_ms=1, details=details
    )
    page = admin.get(f"/admin/lifesigns/healthchecklog/{row.pk}/change/").content.decode()
    assert "&quot;disk_usage&quot;: {\n    &quot;/&quot;: {" in page
    assert "&lt;ok&gt;" in page
    assert "m" * 300 in page
    listing = admin.get("/admin/lifesigns/healthchecklog/").content.decode()
    assert "m" * 99 + "…" in listing
    assert "m" * 101 not in listing


def test_history__links_to_the_sweep(admin: Client, rows: list[HealthCheckLog]) -> None:
    sweep, start = uuid4(), timezone.now() - timedelta(days=90)
    for seconds, name in enumerate(("one", "two")):
        at = start + timedelta(seconds=seconds)
        HealthCheckLog.objects.create(
            check_name=name, status="healthy", duration_ms=1, correlation_id=sweep, checked_at=at
        )
    page = admin.get("/admin/lifesigns/healthchecklog/").content.decode()
    [link, _] = re.findall(rf'<a href="([^"]+)" title="{sweep}">{str(sweep)[:8]}</a>', page)
    with CaptureQueriesContext(connection) as captured:
        response = admin.get(link.replace("&amp;", "&"))
    assert sorted(row.check_name for row in response.context["cl"].result_list) == ["one", "two"]
    found = [query["sql"] for query in captured.captured_queries if "correlation_id" in query["sql"]]
    assert found
    assert all("checked_at" in sql.partition("WHERE")[2].partition("ORDER BY")[0] for sql in found)


def test_history__search_by_the_beginning_of_a_name(admin: Client, rows: list[HealthCheckLog]) -> None:
    assert listed(admin, "", q="check_d") == ["check_degraded"]
    assert listed(admin, "", q="check_") == ["check_degraded", "check_error", "check_healthy"]
    assert listed(admin, "", q="is nowhere") == []
    assert listed(admin, "", q="is error") == ["check_error"]


def test_history__words_are_looked_for_in_the_latest_results(
    admin: Client, rows: list[HealthCheckLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "ROWS", 3)
    old = uuid4()
    at = timezone.now() - timedelta(days=400)
    HealthCheckLog.objects.create(
        check_name="old", status="error", message="it is old", duration_ms=1, checked_at=at, correlation_id=old
    )
    assert listed(admin, "", q="it is") == ["check_degraded", "check_error", "check_healthy"]
    assert listed(admin, "", q=str(old)) == []
    # A search within a selected time looks there.
    assert listed(admin, "", q="it is", checked_at__year=at.year) == ["old"]
    assert listed(admin, "", q=str(old), checked_at__year=at.year) == ["old"]
    assert admin.get("/admin/lifesigns/healthchecklog/").context["cl"].result_count == 3


def test_palette__is_one() -> None:
    palette = Path(str(find("lifesigns/palette.css"))).read_text()
    report = StringIO()
    call_command("generate_health_report", "--format", "html", stdout=report)
    client = Client(headers={"host": "testserver", "accept": "text/html"})
    sheets = re.findall('<link rel="stylesheet" href="(.*?)">', client.get("/alive/").content.decode())
    assert client.get(sheets[0]).content.decode() == palette
    assert palette in report.getvalue()
    assert (Path(__file__).resolve().parents[2] / "src/probe_server/palette.css").read_text() == palette
    folder = Path(django_lifesigns.__file__).parent / "static/lifesigns"
    others = [path.read_text() for path in folder.glob("*.css") if path.name != "palette.css"]
    assert len(others) > 1
    for text in (*others, report.getvalue().replace(palette, "")):
        assert re.findall(r"#[0-9a-f]{3,6}\b", text) == []
