"""django-health-check 4.8 with six of its checks, configured as its documentation does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from django.conf import settings
from health_check.views import HealthCheckView
from redis.asyncio import Redis

# A full or busy machine is no fault of it; the other contenders have the same bounds.
NEVER = 1000.0

CHECKS: list[Any] = [
    "health_check.Database",
    "health_check.Cache",
    (
        "health_check.contrib.redis.Redis",
        {"client_factory": lambda: Redis.from_url(settings.CACHES["default"]["LOCATION"])},
    ),
    "health_check.Mail",
    ("health_check.contrib.psutil.Disk", {"path": "/", "max_disk_usage_percent": NEVER}),
    ("health_check.contrib.psutil.Memory", {"max_memory_usage_percent": NEVER}),
]


def sweeper() -> Callable[[], dict[str, Any]]:
    """What its view does to get its results, without a request, on one event loop that lives on as under ASGI."""
    view: Any = HealthCheckView(checks=CHECKS)
    loop = asyncio.new_event_loop()

    async def results() -> list[Any]:
        with view.get_executor() as executor:
            return await asyncio.gather(*(check.get_result(executor) for check in view.get_checks()))

    def sweep() -> dict[str, Any]:
        found = loop.run_until_complete(results())
        checks = {type(one.check).__name__: "healthy" if one.error is None else str(one.error) for one in found}
        return {"summary": {"total_checks": len(checks), "healthy": list(checks.values()).count("healthy")}, **checks}

    return sweep
