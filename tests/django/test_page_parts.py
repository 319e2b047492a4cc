"""What pages are made of: checks in their order, words for times, and values as tables."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from django_lifesigns.history.objectives.sentence import Phrases
from django_lifesigns.http.check_rows import CheckRow, listing
from django_lifesigns.http.tables import DEEPEST, MOST_ROWS, cell, table_of
from django_lifesigns.http.words import ago, milliseconds

NOW = datetime(2026, 12, 1, 12, 0, 0, tzinfo=timezone.utc)


def result(status: str, **more: Any) -> dict[str, Any]:
    return {"status": status, "timestamp": "2026-12-01T11:59:48.000000Z", "cached": True, **more}


def listed(results: dict[str, Any], critical: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """The names by the title of their section."""
    found = listing(results, lambda name: f"/health/{name}/", critical, NOW)
    sections = {section.title: [row.name for row in section.rows] for section in found.sections}
    return {**sections, "skipped": [row.name for row in found.skipped]}


def rows_by_name(results: dict[str, Any], critical: tuple[str, ...] = ()) -> dict[str, CheckRow]:
    found = listing(results, lambda name: f"/health/{name}/", critical, NOW)
    return {row.name: row for section in found.sections for row in section.rows}


def test_listing__worst_first_and_longest_failing_before_others() -> None:
    results = {
        "fine": result("healthy"),
        "none": result("skipped"),
        "slow": result("degraded"),
        "new": result("error", since="2026-12-01T11:59:00Z"),
        "old": result("error", since="2026-12-01T10:00:00Z"),
        "vital": result("error", since="2026-12-01T11:59:30Z"),
        "odd": result("starting"),
    }
    assert listed(results, ("vital", "fine")) == {
        "Failing": ["vital", "old", "new", "odd"],
        "Degraded": ["slow"],
        "Healthy": ["fine"],
        "skipped": ["none"],
    }
    assert list(listed(results)) == ["Failing", "Degraded", "Healthy", "skipped"]


def test_listing__blocked_checks_are_below_their_root() -> None:
    results = {
        "child": result("error", blocked_by="root"),
        "root": result("error"),
        "grandchild": result("error", blocked_by="child"),
        "other": result("error", blocked_by="not shown here"),
    }
    assert listed(results) == {"Failing": ["root", "other"], "skipped": []}
    rows = rows_by_name(results)
    assert [row.name for row in rows["root"].blocked] == ["child", "grandchild"]
    assert rows["root"].blocked_names == "child, grandchild"
    assert rows["other"].blocked_by == "not shown here"


def test_listing__blocked_in_a_circle_is_shown() -> None:
    results = {"a": result("error", blocked_by="b"), "b": result("error", blocked_by="a")}
    assert listed(results)["Failing"] == ["a", "b"]


def test_row__what_is_known_of_a_check() -> None:
    whole = result("error", message="m", duration_ms=1234.5, error_type="TimeoutError", circuit_state="open")
    row = rows_by_name({"a": whole}, ("a",))["a"]
    assert row.at is not None
    assert (row.at.ago, row.duration, row.error_type, row.circuit) == ("12 s ago", "1.2 s", "TimeoutError", "open")
    assert (row.is_critical, row.url, row.word) == (True, "/health/a/", "error")
    child = rows_by_name({"a": result("error", blocked_by="b", duration_ms=0.0, since="2026-12-01T11:00:00Z")})["a"]
    assert child.since is not None
    assert (child.duration, child.since.text) == ("", "2026-12-01 11:00:00 UTC")
    bare = rows_by_name({"a": {"status": "healthy", "circuit_state": "closed", "since": "2026-12-01T11:00:00Z"}})["a"]
    assert (bare.at, bare.message, bare.duration, bare.circuit, bare.since) == (None, "", "", "", None)


@pytest.mark.parametrize(
    ("seconds", "said"), [(-3, "just now"), (0.4, "just now"), (12, "12 s ago"), (7_500, "2 h 5 min ago")]
)
def test_ago__in_words(seconds: float, said: str) -> None:
    assert ago(seconds, Phrases()) == said


@pytest.mark.parametrize(("value", "said"), [(0.04, "0.0 ms"), (12.34, "12.3 ms"), (2_500, "2.5 s"), (None, "")])
def test_milliseconds__in_words(value: object, said: str) -> None:
    assert milliseconds(value) == said


def texts(value: Any) -> Any:
    """What a table says, as nested lists."""
    table = table_of(value, NOW)
    return [[row.name, *(texts_of_cell(one) for one in row.cells)] for row in table.rows]


def texts_of_cell(one: Any) -> Any:
    return [[row.name, *(texts_of_cell(c) for c in row.cells)] for row in one.table.rows] if one.table else one.text


def test_table__of_any_values() -> None:
    value = {
        "read_write": True,
        "number": 1.5,
        "nothing": None,
        "list": ["a", 2, False],
        "empty": {},
        "pairs": {"x": 1},
    }
    assert texts(value) == [
        ["Read write", "yes"],
        ["Number", "1.5"],
        ["Nothing", "-"],
        ["List", "a, 2, no"],
        ["Empty", "-"],
        ["Pairs", [["X", "1"]]],
    ]


def test_table__rows_that_are_alike_have_columns() -> None:
    table = table_of({"/": {"used": 7, "free": 3}, "/srv": {"used": 1, "free": 9}}, NOW)
    assert table.columns == ("Used", "Free")
    assert [(row.name, [one.text for one in row.cells]) for row in table.rows] == [
        ("/", ["7", "3"]),
        ("/srv", ["1", "9"]),
    ]
    assert all(one.is_number for row in table.rows for one in row.cells)
    several = table_of([{"a": 1, "b": 2}, {"a": 3, "b": 4}], NOW)
    assert (several.columns, several.has_names) == (("A", "B"), False)
    assert table_of([{"a": 1, "b": 2}, {"a": 3}], NOW).columns == ()


def test_table__is_bounded() -> None:
    table = table_of(list(range(MOST_ROWS + 7)), NOW)
    assert (len(table.rows), table.more) == (MOST_ROWS, 7)
    deep: Any = "bottom"
    for _ in range(100):
        deep = {"deeper": deep, "beside": [[1]]}
    one, depth = cell(deep, NOW), 0
    while one.table is not None:
        one, depth = one.table.rows[0].cells[0], depth + 1
    assert depth == DEEPEST
    assert len(cell("x" * 1_000_000, NOW).text) < 11_000


def test_table__times_are_marked_as_such() -> None:
    at = cell("2026-12-01T11:00:00Z", NOW).at
    assert at is not None
    assert (at.iso, at.text, at.ago) == ("2026-12-01T11:00:00Z", "2026-12-01 11:00:00 UTC", "1 h ago")
    assert [cell(text, NOW).at for text in ("20261201", "2026-12-01", "2026-99-01T00:00", "12:00")] == [None] * 4
