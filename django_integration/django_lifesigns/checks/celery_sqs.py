"""Celery's queues on Amazon SQS, through the project's own kombu and boto3: each look is a request that is paid for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django_lifesigns.checks.celery import SKIPPED, CeleryCheck
from django_lifesigns.checks.celery_app import application, is_configured
from django_lifesigns.checks.task_results import DEPTH, pending
from lifesigns import CheckFailed
from lifesigns.specs import Thresholds

READY = "ApproximateNumberOfMessages"
TAKEN = "ApproximateNumberOfMessagesNotVisible"
SCHEDULED = "ApproximateNumberOfMessagesDelayed"
# Botocore waits for a minute and tries five times: longer than any check may.
IMPATIENT = {"connect_timeout": 2, "read_timeout": 2, "retries": {"total_max_attempts": 1}}
# What AWS calls a queue that does not exist, by the protocols of botocore's releases.
NO_QUEUE = frozenset(["AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"])


class SqsCheck(CeleryCheck):
    """What looks at SQS."""

    __slots__ = ()

    @property
    def imports(self) -> Iterator[str]:
        """Return the modules that a run imports."""
        yield from super().imports
        yield "boto3"


@dataclass(frozen=True, kw_only=True, slots=True)
class CelerySqsBroker(SqsCheck):
    """SQS knows one of the queues, and lets the application look at it."""

    queues: tuple[str, ...] = ()

    def __call__(self) -> dict[str, object]:
        if not is_configured():
            return SKIPPED
        found = queue_attributes(self.queues, enough=1)
        if not found:
            raise CheckFailed(f"SQS knows none of the queues {', '.join(self.queues[:5])}")
        details = {"task_tables_available": True, "table_count": 0, "backend": "celery (sqs)"}
        return {"status": "healthy", "message": f"SQS knows the queue {next(iter(found))}", "details": details}


@dataclass(frozen=True, kw_only=True, slots=True)
class CelerySqsPending(SqsCheck):
    """Messages that wait in each queue, and those that workers have taken; SQS counts both approximately."""

    queues: tuple[str, ...] = ()
    thresholds: Thresholds = DEPTH

    def __call__(self) -> dict[str, object]:
        if not is_configured():
            return SKIPPED
        found = queue_attributes(self.queues)
        result = pending({name: counts[READY] for name, counts in found.items()}, self.thresholds, None)
        taken = sum(counts[TAKEN] for counts in found.values())
        details = {
            "taken_tasks": taken,
            "unacked_count": taken,
            "scheduled_tasks": sum(counts[SCHEDULED] for counts in found.values()),
            "missing_queues": [name for name in self.queues if name not in found],
        }
        known = result["details"]
        return {**result, "details": {**(known if isinstance(known, dict) else {}), **details}}


def queue_attributes(queues: Iterable[str], enough: int | None = None) -> dict[str, Mapping[str, int]]:
    """Return the counts of the queues that exist, or of the first `enough` of them."""
    found: dict[str, Mapping[str, int]] = {}
    with _channel() as channel:
        for name in queues:
            try:
                found[name] = _attributes(channel, name)
            except LookupError:
                continue
            if len(found) == enough:
                break
    return found


def _attributes(channel: Any, name: str) -> dict[str, int]:
    """Return the counts of a queue; LookupError where there is none."""
    from botocore.exceptions import ClientError

    canonical = channel.canonical_queue_name(name)
    predefined = channel.predefined_queues
    if predefined and canonical not in predefined:
        raise LookupError(name)
    client = channel.sqs(queue=canonical)
    try:
        url = predefined[canonical]["url"] if predefined else client.get_queue_url(QueueName=canonical)["QueueUrl"]
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=[READY, TAKEN, SCHEDULED])
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in NO_QUEUE:
            raise LookupError(name) from error
        raise
    return {key: int(answer.get("Attributes", {}).get(key, 0)) for key in (READY, TAKEN, SCHEDULED)}


@contextmanager
def _channel() -> Iterator[Any]:
    """Open a channel of kombu's; `CheckFailed` in our words where AWS refuses or does not answer."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    app = application()
    options = {**(app.conf.broker_transport_options or {})}
    options["client-config"] = {**IMPATIENT, **(options.get("client-config") or {})}
    try:
        with app.connection_for_read(transport_options=options) as connection, connection.channel() as channel:
            yield channel
    except ClientError as error:
        response = error.response
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", "unknown")
        code = str(response.get("Error", {}).get("Code", ""))
        known = code.rpartition("#")[2] if code.replace(".", "").replace("#", "").isalnum() else "an unknown error"
        raise CheckFailed(f"SQS refused the request: {known} (HTTP status {status})") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise CheckFailed("there are no credentials of AWS here") from error
    except BotoCoreError as error:
        raise CheckFailed(f"SQS cannot be reached ({type(error).__name__})") from error
