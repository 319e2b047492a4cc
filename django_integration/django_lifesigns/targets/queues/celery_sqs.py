"""From Celery's settings to the checks of its queues on Amazon SQS."""

from __future__ import annotations

from importlib.util import find_spec

from django_lifesigns.checks.celery_sqs import CelerySqsBroker, CelerySqsPending
from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.queues.celery_queues import queue_names

TRANSPORT = "sqs"
# Each look at a queue is a request that AWS charges for.
TTL_SECONDS = 300
OPTIONS = {name: {"ttl": TTL_SECONDS} for name in ("task_queue", "pending_tasks")}


def checks_of_sqs() -> dict[str, Check]:
    """Return the checks of the queues."""
    queues = tuple(queue_names())
    return {"task_queue": CelerySqsBroker(queues=queues), "pending_tasks": CelerySqsPending(queues=queues)}


def unknown_of_sqs() -> dict[str, str]:
    """Return by the name of a check why SQS cannot be looked at."""
    if find_spec("boto3") is None:
        return dict.fromkeys(("task_queue", "pending_tasks"), "install boto3 to look at Celery's queues on SQS")
    return {}
