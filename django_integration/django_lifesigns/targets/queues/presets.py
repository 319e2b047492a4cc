"""Which preset a project uses: named, or known by its installed apps."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping

from django.apps import apps
from django.conf import settings

from django_lifesigns.settings.problems import did_you_mean
from django_lifesigns.targets.queues.background_task import DEFAULT, background_task
from django_lifesigns.targets.queues.celery import celery
from django_lifesigns.targets.queues.django_q2 import django_q2
from django_lifesigns.targets.queues.django_tasks import django_tasks
from django_lifesigns.targets.queues.dramatiq import dramatiq
from django_lifesigns.targets.queues.huey import huey
from django_lifesigns.targets.queues.procrastinate import procrastinate
from django_lifesigns.targets.queues.rq import rq
from django_lifesigns.targets.queues.task_queue import TaskQueue

PRESETS: dict[str, Callable[[], TaskQueue]] = {
    DEFAULT: background_task,
    "procrastinate": procrastinate,
    "django-tasks": django_tasks,
    "django-q2": django_q2,
    "celery": celery,
    "rq": rq,
    "dramatiq": dramatiq,
    "huey": huey,
}

APPS = {
    "procrastinate.contrib.django": "procrastinate",
    "django_tasks_db": "django-tasks",
    "django_tasks.backends.database": "django-tasks",
    "django_q": "django-q2",
    "django_celery_results": "celery",
    "django_celery_beat": "celery",
    "django_rq": "rq",
    "django_dramatiq": "dramatiq",
    "huey.contrib.djhuey": "huey",
}


def is_of_tenants() -> bool:
    """Return whether the tables of the queue are in the schemas of django-tenants' tenants, not in the public one."""
    shared, of_tenants = (getattr(settings, name, None) or () for name in ("SHARED_APPS", "TENANT_APPS"))
    return any(app in of_tenants and app not in shared for app in APPS)


def tables_read(tables: tuple[str, ...], sql: str) -> tuple[str, ...]:
    """Those of the tables that a statement reads: a queue may be in use without its table of workers."""
    words = set(re.findall(r"\w+", sql))
    return tuple(table for table in tables if table.rpartition(".")[2] in words)


def installed() -> str | None:
    """The preset of the first installed app that has one; Celery itself is no app and is known by its setting."""
    found = (preset for app, preset in APPS.items() if apps.is_installed(app))
    return next(found, "celery" if getattr(settings, "CELERY_BROKER_URL", None) else None)


def configured(value: str | Mapping[str, object]) -> TaskQueue:
    """The queue that `LIFESIGNS["TASK_QUEUE"]` means; ValueError if there is none such."""
    if isinstance(value, str):
        name = value.replace("_", "-") if value != DEFAULT else value
        if name not in PRESETS:
            raise ValueError(f"names no preset. {did_you_mean(value, PRESETS)}")  # it may be a URL, with its password
        return PRESETS[name]()
    internal = {"checks", "unknown", "notes", "options", "databases"}
    known = {item.name for item in dataclasses.fields(TaskQueue)} - internal
    for key, item in value.items():
        if key not in known:
            raise ValueError(f"has an unknown key {key!r}. {did_you_mean(key, known)}")
        if key == "tables" and not (isinstance(item, (list, tuple)) and all(isinstance(name, str) for name in item)):
            raise ValueError("has 'tables' that are not a list of names.")
        if key != "tables" and not (isinstance(item, str) and item.strip()):
            raise ValueError(f"has a {key!r} that is not a string, or an empty one.")
    return TaskQueue(**{"backend": "custom", **value, "tables": tuple(value.get("tables", ()))})  # type: ignore[arg-type]
