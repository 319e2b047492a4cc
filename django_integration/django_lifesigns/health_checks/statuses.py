"""Statuses that the engine does not know, which the replaced application let pass."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from lifesigns.answers import STATUSES


def tolerant(function: Callable[[], Any]) -> Callable[[], Any]:
    """Return the same check, whose unknown statuses are degraded."""

    def run() -> Any:
        return with_known_status(function())

    # As `functools.partial` has it: by this the engine knows it in every process, and distinguishes it from others.
    run.func = function  # type: ignore[attr-defined]
    return run


def with_known_status(returned: Any) -> Any:
    """Return what a check returned, degraded where its status is none of the engine's.

    There such a status was neither for nor against health. Here it is seen, and fails no probe.
    """
    if isinstance(returned, Coroutine):
        return _awaited(returned)
    status = returned.get("status") if isinstance(returned, Mapping) else None
    if not isinstance(status, str) or status in STATUSES:
        return returned
    details = returned.get("details")
    return {
        **returned,
        "status": "degraded",
        "message": returned.get("message") or f"The check returned the status {status[:100]!r}",
        "details": {**(details if isinstance(details, Mapping) else {}), "returned_status": status},
    }


async def _awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return with_known_status(await coroutine)
