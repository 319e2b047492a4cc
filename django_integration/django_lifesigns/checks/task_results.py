"""Results about task queues, wherever what they count was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django_lifesigns.checks.task_statements import FurtherRows
from lifesigns.specs import Thresholds

QUEUES_SHOWN = 100
# Few queues are meant to hold a task for longer that could run.
DAY = 86_400.0
# How many seconds a task may be due before it is overdue: longer than a deploy takes.
OVERDUE_AFTER = 300.0
DEPTH = Thresholds(degraded_above=100, error_above=500)
FAILURES = Thresholds(degraded_above=5, error_above=20)


def counted(number: int, thing: str) -> str:
    """Return the number with the noun in its form, as the native checks do."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def judge(value: float, thresholds: Thresholds) -> str:
    """The status of a measured value."""
    if value > thresholds.error_above:
        return "error"
    return "degraded" if value > thresholds.degraded_above else "healthy"


def pending(depths: dict[str, int], thresholds: Thresholds, oldest_seconds: float | None) -> dict[str, object]:
    """The result for queues of these depths."""
    deepest_first = sorted(depths.items(), key=lambda item: -item[1])
    deepest = max(depths.values(), default=0)
    total = sum(depths.values())
    return {
        "status": judge(deepest, thresholds),
        "message": f"{counted(total, 'task')} pending in {counted(len(depths), 'queue')}, at most {deepest} in one",
        "details": {
            "total_pending": total,
            "max_queue_depth": deepest,
            "queue_count": len(depths),
            "queue_breakdown": dict(deepest_first[:QUEUES_SHOWN]),
            "oldest_pending_seconds": None if oldest_seconds is None else round(oldest_seconds, 1),
        },
    }


def with_oldest(result: dict[str, Any], limit: float) -> dict[str, Any]:
    """Return the result, degraded at least if the oldest pending task has waited for more seconds; 0 is no limit."""
    seconds = result["details"]["oldest_pending_seconds"]
    if not limit or seconds is None or seconds <= limit:
        return result
    message = f"{result['message']}; the oldest has waited for {seconds:.0f} s"
    return {**result, "message": message, "status": "error" if result["status"] == "error" else "degraded"}


def workers(active: int, expected: int, sign: str, **details: object) -> dict[str, object]:
    """The result for so many live workers, known by that `sign`; none is an error unless none is expected."""
    return {
        "status": "healthy" if active >= expected else "degraded" if active else "error",
        "message": f"{active} of {expected} expected workers {sign}",
        "details": {"active_workers": active, "expected_workers": expected, **details},
    }


def after_sign_off(result: dict[str, object], seconds: float | None) -> dict[str, object]:
    """Return the result, no error if the last worker stopped in order so many seconds ago, as in each deploy."""
    if seconds is None or result["status"] != "error":
        return result
    message = f"No worker is registered any more; the last one was less than {int(seconds) + 1} s ago"
    return {**result, "status": "degraded", "message": message}


def after_last_seen(result: dict[str, Any], seconds: float | None, window_seconds: float) -> dict[str, Any]:
    """Return the result, no error if a worker was seen so many seconds ago, within the window, as in each deploy."""
    if result["status"] != "error" or seconds is None or seconds >= window_seconds:
        return result
    when = f"one was seen {int(seconds)} s ago: an error after {window_seconds:.0f} s, since a deploy may be under way"
    return {**result, "status": "degraded", "message": f"{result['message']}, {when}"}


def with_unserved(result: dict[str, Any], waiting: Mapping[str, int]) -> dict[str, Any]:
    """Return the result, degraded at least if messages wait in queues that no worker consumes."""
    depths = {name: count for name, count in waiting.items() if count}
    if not depths:
        return result
    total, names = sum(depths.values()), ", ".join(list(depths)[:5]) + (" and others" if len(depths) > 5 else "")
    verb = "waits" if total == 1 else "wait"
    message = f"{result['message']}; no worker consumes {names}, where {counted(total, 'message')} {verb}"
    details = {**result["details"], "queues_without_worker": list(depths)[:20]}
    status = "error" if result["status"] == "error" else "degraded"
    return {**result, "status": status, "message": message, "details": details}


def with_last_heartbeat(result: dict[str, Any], seconds: float | None) -> dict[str, Any]:
    """Return the result, saying when the last heartbeat was sent where no worker is left."""
    if seconds is None or result["status"] not in ("degraded", "error") or result["details"]["active_workers"]:
        return result
    return {**result, "message": f"{result['message']}; the last heartbeat was {seconds:g} s ago"}


def with_schedules(result: dict[str, object], further: FurtherRows) -> dict[str, object]:
    """Return the result, degraded at least if schedules are overdue."""
    return _worse(result, "overdue", further.count("overdue_schedules"), "schedule")


def with_overdue(result: dict[str, Any], number: int) -> dict[str, object]:
    """Return the result with the number of overdue schedules, degraded at least if there is any."""
    details = {**result["details"], "overdue_schedules": number}
    return _worse({**result, "details": details}, "overdue", number, "schedule")


def with_stuck(result: dict[str, object], further: FurtherRows) -> dict[str, object]:
    """Return the result, degraded at least if tasks are stuck."""
    return _worse(result, "stuck", further.count("stuck_tasks"), "task")


def _worse(result: dict[str, object], fault: str, number: int | None, thing: str) -> dict[str, object]:
    if not number:
        return result
    message = f"{result['message']}; {counted(number, thing)} {'is' if number == 1 else 'are'} {fault}"
    return {**result, "message": message, "status": "error" if result["status"] == "error" else "degraded"}
