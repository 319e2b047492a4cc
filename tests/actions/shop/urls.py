"""What the shop answers: who it is, a row of its database, and what its actions did."""

from __future__ import annotations

import os
import time

from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path

from django_lifesigns.models import ActionRun
from django_lifesigns.runtime.engine import get_engine

# Long enough for requests at the same time to reach all workers.
HOLD = 0.3


def who(request: HttpRequest) -> JsonResponse:
    if "hold" in request.GET:
        time.sleep(HOLD)
    engine = get_engine()
    log = [{name: entry[name] for name in ("name", "state", "text", "reason")} for entry in engine.action_log()]
    return JsonResponse({"pid": os.getpid(), "has_started": engine.has_started(False), "log": log})


def row(request: HttpRequest) -> JsonResponse:
    """Read from the database over the connection of this thread."""
    time.sleep(HOLD)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return JsonResponse({"pid": os.getpid(), "backend": cursor.fetchone()[0]})


def runs(request: HttpRequest) -> JsonResponse:
    rows = ActionRun.objects.order_by("started_at").values_list("name", "state", "process")
    return JsonResponse({"runs": list(rows)})


urlpatterns = [path("", who), path("row", row), path("runs", runs)]
