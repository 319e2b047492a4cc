"""The commands that read and remove history: `generate_health_report` and `health_prune`."""

from __future__ import annotations

import csv
import json
import os
import random
import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from django_lifesigns.history import recent
from django_lifesigns.history.reports.collect import MOST_SLICES, collect, slices
from django_lifesigns.history.reports.incidents import LEAST_EDGES, incidents
from django_lifesigns.history.rollups.periods import DAY, HOUR
from django_lifesigns.management.commands import health_prune
from django_lifesigns.models import HealthCheckLog, Rollup, ServiceAvailability

pytestmark = pytest.mark.django_db

FORMATS = ["text", "json", "html", "markdown", "csv"]
HOSTILE = "full <script>alert(1)</script> [red]| x\nsecond line"


def add(name: str, status: str, *, minutes: float, count: int = 1, duration: float = 10.0, message: str = "m") -> None:
    at = timezone.now() - timedelta(minutes=minutes)
    HealthCheckLog.objects.bulk_create(
        HealthCheckLog(check_name=name, status=status, message=message, duration_ms=duration, checked_at=at)
        for _ in range(count)
    )


@pytest.fixture
def history() -> None:
    add("disk_space", "healthy", minutes=30, count=90, duration=10)
    add("disk_space", "healthy", minutes=90, count=5, duration=1_000)
    add("disk_space", "degraded", minutes=60, count=3, duration=0)
    add("disk_space", "error", minutes=45, count=2, duration=200, message=HOSTILE)
    add("openai_api", "healthy", minutes=10)
    add("openai_api", "error", minutes=60 * 25)  # before the last 24 hours


def report(*arguments: str) -> str:
    out = StringIO()
    call_command("generate_health_report", *arguments, stdout=out)
    return out.getvalue()


def test_json__figures(history: None) -> None:
    found = json.loads(report("--format", "json"))
    disk, openai = found["checks"]
    assert disk["last_error_at"] is not None
    del disk["last_error_at"]
    known = {key: value for key, value in disk.items() if value is not None}
    assert known == {
        "check": "disk_space",
        "results": 100,
        "healthy": 95,
        "degraded": 3,
        "errors": 2,
        "uptime_percentage": 95.0,
        "median_ms": 10.0,
        "p95_ms": 200.0,
        "p99_ms": 1000.0,
        "max_ms": 1000.0,
    }
    assert (openai["check"], openai["results"], openai["errors"], openai["last_error_at"]) == ("openai_api", 1, 0, None)
    assert found["results"] == 101
    assert "uptime_percentage" not in found, "a mean over checks that have nothing to do with each other"
    assert len(found["timeline"]) == 24
    assert sum(part["errors"] for part in found["timeline"]) == 2
    assert [problem["message"] for problem in found["latest_errors"]] == [HOSTILE] * 2


def test_json__keys_of_the_replaced_application(history: None) -> None:
    ServiceAvailability.objects.create(service_name="disk_space", total_checks=4, successful_checks=3)
    found = json.loads(report("--format", "json"))
    assert (found["report_period_hours"], found["total_checks_run"]) == (24, 101)
    assert found["report_generated_at"] == found["generated_at"]
    assert found["check_summary"][0] == {
        "check_name": "disk_space",
        "total": 100,
        "healthy": 95,
        "degraded": 3,
        "errors": 2,
        "avg_duration_ms": pytest.approx((90 * 10 + 5 * 1_000 + 2 * 200) / 100),
    }
    [service] = found["service_availability"]
    assert service == {
        "service_name": "disk_space",
        "uptime_percentage": 100.0,
        "total_checks": 4,
        "successful_checks": 3,
        "failed_checks": 0,
        "degraded_checks": 0,
    }
    assert json.loads(report("--format", "json", "--hours", "0.25"))["report_period_hours"] == 0.25


def test_hours__how_far_back(history: None) -> None:
    assert json.loads(report("--format", "json", "--hours", "48"))["results"] == 102
    assert json.loads(report("--format", "json", "--hours", "0.25"))["results"] == 1


@pytest.mark.parametrize("form", FORMATS)
def test_formats__name_every_check(history: None, form: str) -> None:
    found = report("--format", form)
    assert "disk_space" in found
    assert "openai_api" in found
    assert found.endswith("\n")


def test_csv__is_csv(history: None) -> None:
    rows = list(csv.DictReader(StringIO(report("--format", "csv"))))
    assert [row["check"] for row in rows] == ["disk_space", "openai_api"]
    assert (rows[0]["results"], rows[0]["uptime_percentage"]) == ("100", "95.0")


def test_names_of_a_table_of_results__are_no_formulas_of_a_spreadsheet_and_stay_in_their_row(history: None) -> None:
    names = ["=1+1", "@SUM(A1)", "+x", "-x", "two\nlines"]
    for name in names:
        add(name, "healthy", minutes=1)
    rows = list(csv.DictReader(StringIO(report("--format", "csv"))))
    assert {row["check"] for row in rows} >= {"'=1+1", "'@SUM(A1)", "'+x", "'-x", "two\nlines"}
    assert "\n| two lines |" in report("--format", "markdown")


def test_html__escapes(history: None) -> None:
    page = report("--format", "html")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count('<tr class="error">') == 1
    assert page.count('<tr class="healthy">') == 1


def test_html__in_another_language_is_still_css(history: None) -> None:
    with translation.override("de"):
        heights = re.findall(r'style="height: ([^%]+)%"', report("--format", "html"))
    assert len(heights) > 3
    assert sum(map(float, heights)) > 100


def test_markdown__one_row_each(history: None) -> None:
    lines = report("--format", "markdown").splitlines()
    [incident, first, second] = [line for line in lines if "full" in line]
    assert first == second
    assert "| 30 min | disk_space | error |" in incident
    assert "\\|" in first
    assert "<script>" not in first
    widths = {line.replace("\\|", "").count("|") for line in lines if line.startswith("|") and "full" not in line}
    assert widths == {13, 7, 4}


def test_text__markup_is_text(history: None) -> None:
    assert "[red]| x second line" in report()


@pytest.mark.parametrize("form", FORMATS)
def test_empty__no_history(form: str) -> None:
    assert report("--format", form)


def test_output__whole_or_not_there(history: None, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("before")
    assert str(path) in report("--format", "json", "--output", str(path))
    assert json.loads(path.read_text())["results"] == 101
    with pytest.raises(CommandError, match="No such file"):
        report("--output", str(tmp_path / "nowhere" / "report"))
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize(
    ("name", "arguments", "beginning"),
    [
        ("x.html", [], "<!doctype html>"),
        ("x.HTM", [], "<!doctype html>"),
        ("x.json", [], "{"),
        ("x.md", [], "# "),
        ("x.csv", [], "check,"),
        ("x.txt", [], "Health"),
        ("x.odd", [], "Health"),
        ("html", [], "Health"),
        ("x.html", ["--format", "json"], "{"),
    ],
)
def test_output_suffix_decides_the_format_unless_one_is_named(
    history: None, tmp_path: Path, name: str, arguments: list[str], beginning: str
) -> None:
    report("--output", str(tmp_path / name), *arguments)
    assert (tmp_path / name).read_text().lower().startswith(beginning.lower())


def test_output__what_is_no_file_is_written_to(history: None, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reader:
        report("--format", "json", "--output", str(pipe))
        assert json.loads(reader.read())["results"] == 101
    assert pipe.is_fifo()
    with pytest.raises(CommandError, match="directory"):
        report("--output", str(tmp_path))


def test_output__a_link_stays_one(history: None, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(tmp_path / "report")
    report("--output", str(tmp_path / "latest"))
    assert (tmp_path / "latest").is_symlink()
    assert "disk_space" in (tmp_path / "report").read_text()


@pytest.mark.parametrize("hours", ["0", "-1", "nan", "1e9"])
def test_hours__out_of_range(hours: str) -> None:
    with pytest.raises(CommandError, match=r"--hours must be a number above 0") as caught:
        report("--hours", hours)
    assert caught.value.returncode == 2


@pytest.mark.parametrize(
    ("hours", "count"), [(0.1, 1), (1, 1), (1.5, 2), (24, 24), (240, MOST_SLICES), (24 * 365, MOST_SLICES)]
)
def test_slices__cover_the_time_and_are_not_too_many(hours: float, count: int) -> None:
    until = timezone.now()
    since = until - timedelta(hours=hours)
    parts = slices(since, until)
    assert len(parts) == count
    assert (parts[0][0], parts[-1][1]) == (since, until)
    assert all(one[1] == other[0] for one, other in pairwise(parts))


def test_collect__one_query_a_slice(history: None, django_assert_num_queries: Any) -> None:
    until = timezone.now()
    done: list[int] = []
    with django_assert_num_queries(24 + 1):
        collect(until - timedelta(hours=24), until, lambda: done.append(1))
    assert len(done) == 24


def test_collect__last_error_is_the_latest_and_not_the_slowest() -> None:
    add("x", "error", minutes=10, duration=1)
    add("x", "error", minutes=20, duration=500)
    until = timezone.now()
    last = collect(until - timedelta(hours=1), until).checks["x"].last_error_at
    assert last is not None
    assert until - timedelta(minutes=11) < last


def test_collect__durations_that_no_run_can_have_had() -> None:
    add("x", "healthy", minutes=10)
    for duration in (float("inf"), 1e12, -5.0):
        add("x", "healthy", minutes=10, duration=duration)
    until = timezone.now()
    assert collect(until - timedelta(hours=1), until).checks["x"].results == 1
    assert recent.hours()["x"][0]["total"] == 1


def prune(*arguments: str) -> str:
    out = StringIO()
    call_command("health_prune", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def old() -> None:
    add("x", "healthy", minutes=60 * 24 * 40, count=7)  # all at the same time: no batch ends between them
    for days in range(31, 41):
        add("x", "healthy", minutes=60 * 24 * days)
    add("x", "healthy", minutes=60 * 24 * 29, count=3)


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_prune__only_what_is_old(old: None, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(health_prune, "BATCH", batch)
    assert prune().startswith("17 results from before ")
    assert HealthCheckLog.objects.count() == 3
    assert prune().startswith("0 results")


def test_prune__each_batch_is_a_transaction_of_its_own(old: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that none holds its locks for long, and what is removed stays so when the command is stopped."""
    monkeypatch.setattr(health_prune, "BATCH", 3)
    with CaptureQueriesContext(connection) as captured:
        prune()
    queries = [query["sql"] for query in captured.captured_queries if "core_health_check_log" in query["sql"]]
    statements = [query.split()[0] for query in queries]
    # Those of one time are one batch, the other ten are four, and the last finds that there is no more.
    assert statements.count("DELETE") == 6
    assert set(statements) <= {"SELECT", "DELETE"}


def test_prune__days(old: None) -> None:
    assert prune("--days", "35").startswith("13 results")
    assert prune("--days", "0").startswith("7 results")


def test_prune__dry_run(old: None) -> None:
    assert "17 results from before" in prune("--dry-run")
    assert HealthCheckLog.objects.count() == 20


@pytest.mark.parametrize("days", ["-1", "9999999", "99999999999999999999"])
def test_prune_days_out_of_range_are_refused(days: str) -> None:
    with pytest.raises(CommandError, match="--days") as caught:
        prune("--days", days)
    assert caught.value.returncode == 2


@pytest.mark.parametrize(
    ("command", "said"), [("generate_health_report", "Reading the history"), ("health_prune", "Removing")]
)
def test_progress__on_a_terminal_only(old: None, command: str, said: str) -> None:
    err = Terminal()
    call_command(command, stdout=StringIO(), stderr=err)
    assert said in err.getvalue()
    assert "100%" in err.getvalue()
    add("x", "healthy", minutes=60 * 24 * 40)
    silent = StringIO()
    call_command(command, stdout=StringIO(), stderr=silent)
    assert silent.getvalue() == ""


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("command", [report, prune])
def test_without_the_table__an_error_that_says_so(command: Callable[..., str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE core_health_check_log RENAME TO elsewhere")
    with pytest.raises((CommandError, DatabaseError), match="core_health_check_log"):
        command()


def test_title_names_the_longest_incident_and_no_mean(history: None) -> None:
    assert re.match(r"Health from .*: 1 incident, 30 min of disk_space\n", report())
    HealthCheckLog.objects.exclude(status="healthy").delete()
    assert re.match(r"Health from .*: no incidents\n", report())
    HealthCheckLog.objects.all().delete()
    assert re.match(r"Health from .*: no results\n", report())


def found_incidents(**parents: list[str]) -> list[tuple[str, str, int, int | None, tuple[str, ...]]]:
    until = timezone.now()
    found = incidents(until - timedelta(hours=2), until, lambda _check: timedelta(seconds=60), parents)

    def minutes(at: Any) -> int:
        return int(round((until - at).total_seconds() / 60))  # noqa: RUF046  # of Any

    return [
        (each.check, each.status, minutes(each.since), minutes(each.until) if each.until else None, each.blocked)
        for each in found
    ]


def test_incidents_start_and_end_with_the_status(django_assert_num_queries: Any) -> None:
    for minutes, status in ((110, "error"), (100, "error"), (90, "healthy"), (60, "degraded"), (50, "error")):
        add("a", status, minutes=minutes)
    add("a", "healthy", minutes=40)
    add("b", "healthy", minutes=0.5)
    add("c", "error", minutes=30)
    add("c", "error", minutes=0.5)
    add("d", "error", minutes=30, message="nothing is known after it")
    with django_assert_num_queries(1):
        found = found_incidents()
    assert sorted(found) == [
        ("a", "error", 60, 40, ()),
        ("a", "error", 110, 90, ()),
        ("c", "error", 30, None, ()),
        ("d", "error", 30, 29, ()),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_incidents_equal_the_model_of_each_result(seed: int) -> None:
    """Of three checks, whose results come at random times; some before and some after the time of the report."""
    chance, until = random.Random(seed), timezone.now()
    since = until - timedelta(hours=2)
    rows: list[HealthCheckLog] = []
    for name in "abc":
        at = until - timedelta(hours=2.2)
        while (at := at + timedelta(seconds=chance.choice([5, 60, 240]))) < until + timedelta(minutes=5):
            status = chance.choice(["healthy", "healthy", "degraded", "error", rows[-1].status if rows else "error"])
            message = f"{status} {len(rows)}"
            rows.append(HealthCheckLog(check_name=name, status=status, message=message, checked_at=at, duration_ms=1))
    HealthCheckLog.objects.bulk_create(rows)
    expected = []
    for name in "abc":
        own = [row for row in rows if row.check_name == name and since <= row.checked_at < until]
        started: Any = None
        for before, row in zip([None, *own], own, strict=False):
            if row.status == "healthy":
                expected += [(name, *started, row.checked_at)] if started else []
                started = None
            elif started is None:
                started = row.checked_at, row.status, row.message
            elif row.status == "error" and before is not None and before.status != "error":
                started = started[0], row.status, row.message
        if started:
            end = own[-1].checked_at + timedelta(seconds=60)
            expected.append((name, *started, end if end < until else None))
    found = incidents(since, until, lambda _check: timedelta(seconds=60), {})
    shown = [(each.check, each.since, each.status, each.cause, each.until) for each in found]
    assert sorted(shown, key=str) == sorted(expected, key=str)
    assert [each for each in shown if each[0] == "b"] == [
        (each.check, each.since, each.status, each.cause, each.until)
        for each in incidents(since, until, lambda _check: timedelta(seconds=60), {}, "b")
    ]


def test_incidents_few_of_one_that_changed_very_often_has_its_start() -> None:
    until = timezone.now()
    for number in range(LEAST_EDGES + 1):
        add("a", ("degraded", "error")[number % 2], minutes=60 - number / 60)
    (found,) = incidents(until - timedelta(hours=2), until, lambda _check: timedelta(seconds=60), {}, "a", 20)
    assert found.since == HealthCheckLog.objects.earliest("checked_at").checked_at


def test_incidents_of_children_are_folded_into_their_cause() -> None:
    add("database", "error", minutes=60)
    add("database", "healthy", minutes=50)
    for name, start in (("pool", 60.5), ("sessions", 55), ("cache", 55), ("pool", 30)):
        add(name, "error", minutes=start)
        add(name, "healthy", minutes=start - 7)
    found = found_incidents(pool=["database"], sessions=["pool"])
    assert sorted(found) == [
        ("cache", "error", 55, 48, ()),
        ("database", "error", 60, 50, ("pool", "sessions")),
        ("pool", "error", 30, 23, ()),
    ]


def test_report_of_time_has_availability_objective_and_percentiles_of_all_runs(settings: Any) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": lambda: True}, "OBJECTIVES": {"mine": {"target": 99.0, "days": 7}}}
    start = HOUR.start(timezone.now().timestamp() - 7_200)
    figures = {
        "healthy": 3_400.0,
        "error": 20.0,
        "maintenance": 180.0,
        "duration_3": 99,
        "duration_9": 1,
        "covered": 3_600.0,
    }
    for period in ("hour", "day"):
        start = HOUR.start(start) if period == "hour" else DAY.start(start)
        Rollup.objects.create(check_name="mine", period=period, start=start, until=0, healthy_runs=100, **figures)
        # A check that was skipped all the time.
        Rollup.objects.create(check_name="skipped", period=period, start=start, until=0, duration_0=100)
    found = json.loads(report("--format", "json", "--hours", "48"))
    [mine] = found["checks"]
    assert mine["availability_percentage"] == pytest.approx(100 * 3_400 / 3_420, abs=0.001)
    assert (mine["bad_seconds"], mine["maintenance_seconds"], mine["results"]) == (20.0, 180.0, 0)
    assert mine["known_percentage"] == pytest.approx(100 * 3_600 / 172_800, abs=0.1)
    assert mine["objective_percentage"] == 99.0
    assert mine["budget_remaining_percentage"] == pytest.approx(100 * (1 - 20 / 6_048), abs=0.1)
    assert 5.0 <= mine["median_ms"] <= 10.0
    assert mine["max_ms"] == 1_000
    [objective] = found["objectives"]
    assert objective["sentence"].startswith("1 h 40 min of the budget of 1 h 41 min in 7 days are left (100%)")
    for form in FORMATS:
        assert "1 h 40 min of the budget" in report("--format", form, "--hours", "48") or form == "csv"
