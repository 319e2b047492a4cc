"""When checks are in planned maintenance, as the alerts have it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from lifesigns.maintenance import maintenance_windows

HOUR = 3_600.0
AT = datetime(2026, 11, 29, 3, 0, tzinfo=timezone.utc).timestamp()  # a Sunday


def test_windows_are_whole_merged_and_by_check() -> None:
    entries: list[dict[str, Any]] = [
        {"cron": "0 3 * * SUN", "minutes": 60},
        {"start": "2026-11-29T03:30Z", "end": "2026-11-29T05:00+00:00", "checks": ["data*"]},
        {"start": "2026-11-29T23:00+01:00", "end": "2026-11-30T00:00Z", "checks": "cache"},
    ]
    found = maintenance_windows(entries, ["database", "cache", "other"], AT + 1, AT + 7 * 24 * HOUR)
    night, evening = (AT, AT + HOUR), (AT + 19 * HOUR, AT + 21 * HOUR)
    assert found == {"database": [(AT, AT + 2 * HOUR)], "cache": [night, evening], "other": [night]}
    assert maintenance_windows(entries, ["other"], AT + HOUR, AT + 2 * HOUR) == {"other": []}
    assert maintenance_windows([], ["other"], 0, AT) == {"other": []}


def test_windows_of_years_are_found_at_once() -> None:
    found = maintenance_windows([{"cron": "*/5 * * * *", "minutes": 2}], ["a"], AT - 400 * 24 * HOUR, AT)
    assert len(found["a"]) == 400 * 24 * 12


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"cron": "0 3 * *", "minutes": 60}, "cron must be a cron expression of five fields"),
        ({"cron": "60 3 * * *", "minutes": 60}, "cron must be a cron expression whose minute is"),
        ({"cron": "0 3 * * *", "minutes": 0}, "minutes must be from 1 to 10080, not 0"),
        ({"start": "2026-11-29T03:30Z"}, "must have start and end, or cron and minutes"),
        ({"start": "2026-11-29T03:30", "end": "2026-11-30T00:00Z"}, "start must be a time with its zone"),
    ],
)
def test_wrong_window_is_named(entry: dict[str, Any], said: str) -> None:
    right = {"cron": "0 3 * * SUN", "minutes": 60}
    with pytest.raises(ValueError, match=rf"MAINTENANCE\[1\].{said}"):
        maintenance_windows([right, entry], ["a"], 0, AT)


@pytest.mark.parametrize("wrong", [5, None, [5], ["x"]])
def test_what_is_no_list_of_windows_is_refused(wrong: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        maintenance_windows(wrong, ["a"], 0, AT)


def test_time_before_1970_is_refused() -> None:
    with pytest.raises(ValueError, match="since must be a number of seconds from 0"):
        maintenance_windows([], ["a"], -1, AT)
