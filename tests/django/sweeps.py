"""A program: sweeps from the main thread, another thread and an async view, as JSON."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import django
from django.http import HttpRequest, JsonResponse
from django.test import AsyncClient
from django.urls import path

urlpatterns: list[Any] = []


async def sweep(request: HttpRequest) -> JsonResponse:
    """Sweeps from a running event loop."""
    from django_lifesigns.runtime.engine import get_engine

    return JsonResponse(await get_engine().arun(refresh=True))


def main() -> None:
    """Print {where: report}."""
    django.setup()
    from django.conf import settings

    from django_lifesigns.runtime.engine import get_engine

    settings.ALLOWED_HOSTS, settings.ROOT_URLCONF = ["*"], __name__
    urlpatterns.append(path("sweep/", sweep))
    reports: dict[str, Any] = {"main": get_engine().run(refresh=True)}
    thread = threading.Thread(target=lambda: reports.update(thread=get_engine().run(refresh=True)))
    thread.start()
    thread.join()
    reports["async view"] = json.loads(asyncio.run(AsyncClient().get("/sweep/")).content)
    print(json.dumps(reports))


if __name__ == "__main__":
    main()
