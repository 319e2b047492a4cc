"""The 22 checks in plain Python, as a good engineer writes them without a framework: the yardstick."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from benches.comparison.plain.database import Database
from benches.comparison.plain.services import Services
from benches.comparison.plain.system import System

Check = Callable[[], dict[str, Any]]

WORKERS = 5
SECONDS = 10.0


class Plain:
    """Clients and their connections are kept between sweeps, where the libraries offer that."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.checks: dict[str, Check] = {
            **Database(settings).checks(),
            **Services(settings).checks(),
            **System(settings).checks(),
        }
        self.pool = ThreadPoolExecutor(WORKERS)

    def sweep(self) -> dict[str, Any]:
        """All of them, and a report."""
        futures: dict[str, Future[dict[str, Any]]] = {
            name: self.pool.submit(timed, check) for name, check in self.checks.items()
        }
        results = {name: future.result(SECONDS) for name, future in futures.items()}
        healthy = sum(result["status"] == "healthy" for result in results.values())
        return {
            "status": "healthy" if healthy == len(results) else "degraded",
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "summary": {"total_checks": len(results), "healthy": healthy},
            "checks": results,
        }


def timed(check: Check) -> dict[str, Any]:
    """The result of a check; whatever it raises is its error."""
    began = time.perf_counter()
    try:
        result = check()
    except Exception as error:  # noqa: BLE001  # any library may raise anything
        result = {"status": "error", "message": f"{type(error).__name__}: {error}", "details": {}}
    result["duration_ms"] = (time.perf_counter() - began) * 1000
    return result


class Kept:
    """The sweep as a view needs it: a report is kept for some seconds."""

    def __init__(self, plain: Plain, seconds: float = 30) -> None:
        self.plain = plain
        self.seconds = seconds
        self.until = 0.0
        self.report: dict[str, Any] = {}

    def sweep(self) -> dict[str, Any]:
        """The last report, or a new one."""
        if time.monotonic() > self.until:
            self.report, self.until = self.plain.sweep(), time.monotonic() + self.seconds
        return self.report
