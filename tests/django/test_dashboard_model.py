"""What the dashboard shows: strips against a brute-force model, order, roots, sentences, drawings."""

from __future__ import annotations

import gzip
import random
import re
import time
from datetime import datetime, timezone
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import RequestFactory

from django_lifesigns.dashboard.assemble import dashboard_data
from django_lifesigns.dashboard.detail import check_data
from django_lifesigns.dashboard.order import in_order, overall, roots
from django_lifesigns.dashboard.present import dashboard_context
from django_lifesigns.dashboard.reading import History
from django_lifesigns.dashboard.responses import page
from django_lifesigns.dashboard.revision import fingerprint
from django_lifesigns.dashboard.rows import percent
from django_lifesigns.dashboard.sentences import strip_sentence
from django_lifesigns.dashboard.strips import DAYS, Strip, availability, coverage, first_day, read_strips
from django_lifesigns.dashboard.svg import HEIGHT
from django_lifesigns.history.objectives.sentence import Phrases
from django_lifesigns.history.rollups.periods import DAY
from django_lifesigns.models import Rollup
from tests.django.dashboards import NOTHING, info, live, random_days, result

WORST = ("error", "degraded", "maintenance", "blocked", "healthy")
LETTERS = {"error": "e", "degraded": "d", "maintenance": "m", "blocked": "b", "healthy": "h"}


@pytest.mark.django_db
def test_strips__against_a_brute_force_model() -> None:
    now = time.time()
    rows = [fields for number in range(6) for fields in random_days(now, f"check_{number}", number)]
    Rollup.objects.bulk_create([Rollup(**fields) for fields in rows])
    # Which are no days.
    Rollup.objects.create(check_name="check_0", period="hour", start=DAY.start(now), until=0, error=3_600)
    strips = read_strips(now)
    assert sorted(strips) == [f"check_{number}" for number in range(6)]
    for name, strip in strips.items():
        expected: list[str] = []
        totals = dict.fromkeys((*WORST, "covered"), 0.0)
        for number in range(DAYS):
            start = first_day(now) + number * DAY.seconds
            day: dict[str, Any] = next((row for row in rows if (row["check_name"], row["start"]) == (name, start)), {})
            expected.append(next((LETTERS[state] for state in WORST if day.get(state)), "-"))
            for state in totals:
                totals[state] += day.get(state, 0.0)
            if expected[-1] in "edmb":
                counted = sum(day.get(state, 0.0) for state in WORST)
                for state in WORST:
                    mean = day.get(state, 0.0) / max(1.0, counted / day["covered"])
                    if state != "healthy":
                        assert strip.seconds.get(state, {}).get(number, 0.0) == pytest.approx(mean)
            else:
                assert not any(number in days for days in strip.seconds.values())
        assert strip.states == "".join(expected)
        known = totals["healthy"] + totals["degraded"] + totals["error"]
        assert (strip.known, strip.error, strip.covered) == pytest.approx((known, totals["error"], totals["covered"]))
        assert availability(strip) == pytest.approx(1 - totals["error"] / known)
        assert coverage(strip, now) == pytest.approx(min(1.0, totals["covered"] / (now - strip.first)))
    assert read_strips(now, "check_3") == {"check_3": strips["check_3"]}


@pytest.mark.django_db
def test_strips__each_day_alone_is_in_its_place() -> None:
    now = time.time()
    for number in range(DAYS):
        start = first_day(now) + number * DAY.seconds
        Rollup.objects.create(check_name=f"check_{number}", period="day", start=start, until=0, healthy=86_400)
    for name, strip in read_strips(now).items():
        assert [index for index, letter in enumerate(strip.states) if letter == "h"] == [int(name[6:])]
    assert strip.dates[-1] == datetime.fromtimestamp(now, timezone.utc).date().isoformat()


@pytest.mark.django_db
@pytest.mark.parametrize("covered", [86_400.0, 3_600.0])
def test_strip__of_several_hosts_is_their_mean(covered: float) -> None:
    """Three hosts are known for as long, of which one fails: a third of that, be it a day or an hour."""
    now = time.time()
    figures = {"healthy": 2 * covered, "error": covered, "covered": covered}
    Rollup.objects.create(check_name="mine", period="day", start=DAY.start(now), until=0, **figures)
    assert read_strips(now)["mine"].seconds == {"error": {DAYS - 1: pytest.approx(covered / 3)}}


def test_availability__of_nothing_is_none() -> None:
    assert availability(Strip(0)) is None
    assert coverage(Strip(0), 1_000.0) == 0


BLOCKED = {
    "child": result("error", blocked_by="parent"),
    "grandchild": result("error", blocked_by="child"),
    "parent": result("error"),
    "other": result("degraded"),
}


def test_roots__are_the_first_that_is_not_blocked() -> None:
    assert roots(BLOCKED) == {"child": "parent", "grandchild": "parent"}  # type: ignore[arg-type]
    circle: Any = {"a": result("error", blocked_by="b"), "b": result("error", blocked_by="a")}
    assert set(roots(circle)) <= {"a", "b"}
    lost: Any = {"a": result("error", blocked_by="gone")}
    assert roots(lost) == {}


def test_order__bad_first_critical_then_longest() -> None:
    results: Any = {
        "well": result(),
        "none": result("skipped"),
        "new": result("error", since="2026-11-29T10:00:02Z"),
        "old": result("error", since="2026-11-29T10:00:01Z"),
        "minor": result("error", since="2026-11-29T09:00:00Z"),
        "slow": result("degraded"),
        "pending": result("error", pending=True),
        **BLOCKED,
    }
    infos: Any = {name: info(critical=name != "minor") for name in results}
    found = in_order(results, infos)
    assert [name for name, _ in found] == [
        "parent", "child", "grandchild", "old", "new", "minor", "other", "slow", "pending", "well", "none",
    ]  # fmt: skip
    assert dict(found)["parent"] == ["child", "grandchild"]


@pytest.mark.parametrize(
    ("results", "minor", "expected"),
    [
        ({}, [], "unhealthy"),
        ({"a": result()}, [], "healthy"),
        ({"a": result("skipped")}, [], "healthy"),
        ({"a": result("error")}, [], "unhealthy"),
        ({"a": result("error")}, ["a"], "degraded"),
        ({"a": result("degraded")}, [], "degraded"),
        ({"a": result("error", pending=True)}, [], "unknown"),
        ({"a": result("error", pending=True)}, ["a"], "healthy"),
        ({"a": result("error", pending=True), "b": result("degraded")}, [], "degraded"),
        ({"a": result("error", pending=True, blocked_by="b"), "b": result("error")}, ["b"], "unhealthy"),
    ],
)
def test_overall__table(results: Any, minor: list[str], expected: str) -> None:
    assert overall(results, {name: info(critical=name not in minor) for name in results}) == expected  # type: ignore[misc]


def strip_of(states: str, **seconds: float) -> Strip:
    """A strip that ends so, whose days that were not plainly healthy have these seconds each."""
    letters = states.rjust(DAYS, "-")
    numbers = [number for number, letter in enumerate(letters) if letter in "edmb"]
    return Strip(
        first_day(time.time()), letters, {state: dict.fromkeys(numbers, each) for state, each in seconds.items()}
    )


@pytest.mark.parametrize(
    ("strip", "text"),
    [
        (None, "Nothing is known of the last 90 days."),
        (strip_of(""), "Nothing is known of the last 90 days."),
        (strip_of("h" * 90), "Last 90 days: healthy."),
        (strip_of("h" * 89), "Last 90 days: healthy, nothing known of 1 day."),
        (strip_of("h" * 89 + "e", error=720), "Last 90 days: 12 min in error on 1 day."),
        (
            strip_of("h" * 88 + "ee", error=60, degraded=30, maintenance=5, blocked=1),
            "Last 90 days: 2 min in error on 2 days, 1 min degraded on 2 days, maintenance on 2 days, "
            "blocked on 2 days.",
        ),
    ],
)
def test_sentence__says_what_is_seen(strip: Strip | None, text: str) -> None:
    assert strip_sentence(strip, Phrases()) == text


def test_svg__no_data_and_maintenance_are_never_green() -> None:
    history = History(strips={"mine": strip_of("h" * 20 + "me", maintenance=5, error=60)})
    (check,) = dashboard_data(live({"mine": result()}), history)["checks"]
    assert check["strip"] is not None
    drawn = ElementTree.fromstring(history.drawing("mine", Phrases()))
    bars = [(bar.get("class"), int(bar.get("x", 0)), int(bar.get("width", 0))) for bar in drawn]
    assert bars == [("unknown", 0, 68), ("healthy", 68, 20), ("maintenance", 88, 1), ("error", 89, 1)]
    assert drawn.get("aria-label") == check["strip"]["summary"]
    # By their heights, too.
    assert [int(bar.get("height", 0)) for bar in drawn] == [2, 8, 12, HEIGHT]
    assert [bar.get("fill") for bar in drawn if bar.get("class") == "maintenance"] == ["url(#maintenance)"]
    (title,) = [bar[0].text for bar in drawn if bar.get("class") == "error"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d: 1 min in error, 5 s in maintenance", str(title))


def test_page__of_a_thousand_checks_is_at_most_200_kb_compressed(rf: RequestFactory) -> None:
    """Each with an objective, and with outages of any length on 7 of the 90 days."""
    chance = random.Random(1)
    names = [f"check_{number}" for number in range(1_000)]
    strips, objectives = {}, {}
    for name in names:
        bad = {number: chance.uniform(60, 80_000) for number in chance.sample(range(DAYS), 7)}
        states = "".join("e" if number in bad else "h" for number in range(DAYS))
        strips[name] = Strip(first_day(time.time()), states, {"error": bad}, 7e6, sum(bad.values()), 7e6)
        sentence = f"The budget of 43 min in 30 days is overspent by {chance.randrange(90)} min; it was lost on 3 Nov."
        objectives[name] = {"target": 99.9, "sentence": sentence}
    history = History(strips=strips, objectives=objectives)
    data = dashboard_data(live({name: result() for name in names}), history, has_days=False)
    context = {**dashboard_context(data, "/health/dashboard/", history.drawing), "may": {"any": False}}
    request = rf.get("/health/dashboard/", headers={"accept-encoding": "gzip"})
    content = page(request, "lifesigns/dashboard.html", context).content
    assert gzip.decompress(content).count(b"in error</title>") == 7 * len(names)
    assert len(content) <= 200_000


def test_data__without_history_and_without_results() -> None:
    unreadable = History(error="OperationalError")
    pending = result("error", pending=True, message="No result yet")
    data = dashboard_data(live({"mine": pending, "other": result()}), unreadable)
    assert (data["status"], data["history_error"]) == ("unknown", "OperationalError")
    mine, other = data["checks"]
    assert (mine["status"], mine["timestamp"], mine["duration_ms"]) == ("unknown", None, None)
    assert (other["strip"], other["availability"], other["objective"]) == (None, None, None)
    assert data["summary"] == {"total": 2, "error": 0, "degraded": 0, "unknown": 1, "healthy": 1, "skipped": 0}
    assert data["incidents"] is None


def test_revision__is_another_once_more_than_time_has_passed() -> None:
    known = live({"mine": result()}, now=1_000.0)
    data = dashboard_data(known, NOTHING)
    later = dashboard_data(live({"mine": result()}, now=1_002.0), NOTHING)
    assert (later["revision"], fingerprint(later)) == (data["revision"], fingerprint(data))
    anew = dashboard_data(live({"mine": result(timestamp="2026-11-29T10:00:30Z", duration_ms=2.0)}), NOTHING)
    assert anew["revision"] == data["revision"]
    assert fingerprint(anew) != fingerprint(data)
    assert dashboard_data(live({"mine": result("error")}), NOTHING)["revision"] != data["revision"]


def test_incidents__of_the_store_come_before_those_of_the_tables() -> None:
    def incident(name: str, **more: Any) -> dict[str, Any]:
        found = {"id": name, "check": name, "state": "firing", "severity": "critical", "message": "down"}
        return {**found, "since": 900.0, "resolved_at": None, "blocked": ["child"], "timeline": [], **more}

    timeline = [{"at": 900.0, "kind": "triggered", "text": "3 failures in a row"}]
    tables = [incident("mine"), incident("gone", resolved_at=950.0), incident("latest", resolved_at=990.0)]
    known = live(
        {"mine": result("error")}, incidents=[incident("mine", acknowledged_by="ann", timeline=timeline)], now=1_000.0
    )
    history = History(incidents=tables)
    found = dashboard_data(known, history)["incidents"]
    assert found is not None
    assert [each["id"] for each in found] == ["mine", "latest", "gone"]
    assert (found[0]["acknowledged_by"], found[0]["duration_seconds"], found[0]["blocked"]) == ("ann", 100.0, ["child"])
    assert found[2]["duration_seconds"] == 50.0
    own = check_data("mine", known, history)["incidents"]
    assert own is not None
    assert own[0]["timeline"] == [{"at": "1970-01-01T00:15:00Z", "kind": "triggered", "text": "3 failures in a row"}]


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.0, "100%"), (0.9999999, "99.999%"), (0.99953, "99.953%"), (0.5, "50%"), (-0.25, "-25%"), (None, "\u2013")],
)
def test_percent__is_never_rounded_up(ratio: float | None, text: str) -> None:
    assert percent(ratio) == text
