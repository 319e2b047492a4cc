"""The queues of the project's Celery application, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from django_lifesigns.checks.celery_app import application


def queue_names() -> list[str]:
    """Return the names of the queues that workers consume by default, and of those that tasks are sent to."""
    app = application()
    return list(dict.fromkeys([*app.amqp.queues, *routed(app.conf.task_routes), *_scheduled(app.conf.beat_schedule)]))


def routed(routes: Any) -> Iterator[str]:
    """Yield the queues that `task_routes` names. What a function would decide is not known before there is a task."""
    if isinstance(routes, Mapping):
        for destination in routes.values():
            yield from _queue_of(destination)
    elif isinstance(routes, (list, tuple)):
        for route in routes:
            match route:
                case (str() | re.Pattern(), destination):
                    yield from _queue_of(destination)
                case _:
                    yield from routed(route)


def _scheduled(schedule: Any) -> Iterator[str]:
    """Yield the queues that the entries of a schedule name."""
    for entry in (schedule or {}).values():
        options = entry.get("options") if isinstance(entry, Mapping) else None
        if isinstance(options, Mapping):
            yield from _queue_of(options.get("queue"))


def _queue_of(destination: Any) -> Iterator[str]:
    queue = destination.get("queue") if isinstance(destination, Mapping) else destination
    name = getattr(queue, "name", queue)
    if isinstance(name, str) and name:
        yield name
