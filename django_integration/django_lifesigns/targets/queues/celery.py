"""From Celery's settings to its checks: what of it can be checked, and why the rest cannot."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, router

from django_lifesigns.checks.celery import CeleryBroker, CeleryPending
from django_lifesigns.checks.celery_workers import CeleryWorkers
from django_lifesigns.checks.kinds import Check
from django_lifesigns.settings.conf import read
from django_lifesigns.targets.context import CannotCheckError, WrongTargetError
from django_lifesigns.targets.queues import celery_rabbitmq, celery_sqs
from django_lifesigns.targets.queues.celery_redis import checks_of_redis
from django_lifesigns.targets.queues.task_queue import TaskQueue

CHECKS = ("task_queue", "pending_tasks", "failed_tasks", "task_workers")
# Transports by which a worker cannot be sent a question.
WITHOUT_REMOTE_CONTROL = frozenset(
    ["azureservicebus", "azurestoragequeues", "confluentkafka", "kafka", "sqla", "sqlalchemy", "sqs", "zookeeper"]
)
# Transports of Redis, whose queues are measured natively.
REDIS = frozenset(["redis", "rediss", "sentinel"])
RESULTS_TABLE = "django_celery_results_taskresult"
RESULTS_BACKENDS = frozenset(
    ["django-db", "django_celery_results.backends:DatabaseBackend", "django_celery_results.backends.DatabaseBackend"]
)
# Beat's scheduler that keeps its schedules in tables, or one derived from it.
SCHEDULER = "DatabaseScheduler"
FINISHED = (
    f"SELECT count(*) FROM {RESULTS_TABLE} WHERE status IN ('SUCCESS', 'FAILURE', 'REVOKED') AND date_done >= {{since}}"
)


def celery() -> TaskQueue:
    """Celery: tasks and workers are in the broker, failures in the database of django-celery-results."""
    unknown = unknown_of_celery()
    model = apps.all_models.get("django_celery_results", {}).get("taskresult")
    return TaskQueue(
        backend="celery",
        database=router.db_for_write(model) if model else DEFAULT_DB_ALIAS,
        tables=(RESULTS_TABLE,) if has_results() else (),
        failed_sql=f"SELECT count(*) FROM {RESULTS_TABLE} WHERE status = 'FAILURE' AND date_done >= {{since}}",
        finished_sql=FINISHED if has_results() and not _ignores_results() else None,
        checks=checks_of_celery(unknown),
        unknown=unknown,
        options=celery_sqs.OPTIONS if _transport() == celery_sqs.TRANSPORT else {},
    )


def checks_of_celery(unknown: dict[str, str]) -> dict[str, Check]:
    """Return the checks of what the broker shows."""
    transport = _transport()
    checks: dict[str, Check]
    if len(unknown) == len(CHECKS):
        checks = {}
    elif transport in celery_rabbitmq.TRANSPORTS:
        urls, schedules = broker_urls(), has_schedules()
        checks = celery_rabbitmq.checks_of_rabbitmq(urls, remote_control=_has_remote_control(), schedules=schedules)
    elif transport == celery_sqs.TRANSPORT:
        checks = {**celery_sqs.checks_of_sqs(), "task_workers": _workers()}
    else:
        checks = {
            "task_queue": CeleryBroker(),
            "pending_tasks": CeleryPending(),
            "task_workers": _workers(),
        }
    if transport in REDIS and checks:
        with suppress(CannotCheckError):  # a password that is made at each login: through Celery
            checks |= checks_of_redis()
    return {name: check for name, check in checks.items() if name not in unknown}


def unknown_of_celery() -> dict[str, str]:
    """Return by the name of a check why it cannot run."""
    if find_spec("celery") is None:
        return dict.fromkeys(CHECKS, "Celery is not installed here")
    if _setting("TASK_ALWAYS_EAGER"):
        return dict.fromkeys(CHECKS, "Celery runs tasks at once (CELERY_TASK_ALWAYS_EAGER)")
    if _transport() == "memory":
        return dict.fromkeys(CHECKS, "Celery's broker is in the memory of each process (CELERY_BROKER_URL)")
    unknown = {}
    if (reason := _unreachable()) and not (read().celery_signals or has_schedules()):
        unknown["task_workers"] = f"{reason}: set LIFESIGNS['CELERY_SIGNALS'] to know those of this host by heartbeats"
    if _transport() == celery_sqs.TRANSPORT:
        unknown |= celery_sqs.unknown_of_sqs()
    if not has_results():
        unknown["failed_tasks"] = (
            "set CELERY_RESULT_BACKEND = 'django-db' (django-celery-results) to count Celery's failed tasks"
        )
    return unknown


def _unreachable() -> str:
    """Return why Celery's workers cannot be pinged; empty where they can, or where the broker counts them."""
    transport = _transport()
    if transport in WITHOUT_REMOTE_CONTROL:
        return f"Celery's workers cannot be pinged through a broker of the kind {transport}"
    if transport not in celery_rabbitmq.TRANSPORTS and not _has_remote_control():
        return "Celery's workers answer no questions (CELERY_WORKER_ENABLE_REMOTE_CONTROL)"
    return ""


def has_results() -> bool:
    """Return whether Celery keeps what became of its tasks in the project's database."""
    keeps = not _ignores_results() or bool(_setting("TASK_STORE_ERRORS_EVEN_IF_IGNORED"))
    return apps.is_installed("django_celery_results") and _setting("RESULT_BACKEND") in RESULTS_BACKENDS and keeps


def has_schedules() -> bool:
    """Return whether Celery beat keeps its schedules in the tables of django-celery-beat."""
    scheduler = _setting("BEAT_SCHEDULER")
    return apps.is_installed("django_celery_beat") and (scheduler is None or SCHEDULER in str(scheduler))


def _ignores_results() -> bool:
    return bool(_setting("TASK_IGNORE_RESULT"))


def _workers() -> CeleryWorkers:
    return CeleryWorkers(unreachable=_unreachable(), schedules=has_schedules())


def _setting(name: str, default: object = None) -> object:
    return getattr(settings, f"CELERY_{name}", default)


def broker_urls() -> list[str]:
    """Return the URLs of the brokers, of which Celery uses one: the first that accepts a connection."""
    given = _setting("BROKER_URL") or ""
    urls: Iterable[Any] = given if isinstance(given, (list, tuple)) else [given]
    if not all(isinstance(url, str) for url in urls):
        raise WrongTargetError("CELERY_BROKER_URL must be a URL, or a list of URLs")
    return [url.strip() for text in urls for url in text.split(";") if url.strip()]


def _transport() -> str:
    """Return the transport of the first broker: `sqs` of `sqs://` and `sqla` of `sqla+postgresql://`."""
    return next(iter(broker_urls()), "").partition("://")[0].partition("+")[0].lower()


def _has_remote_control() -> bool:
    return bool(_setting("WORKER_ENABLE_REMOTE_CONTROL", default=True))
