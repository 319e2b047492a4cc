"""What Celery's workers answer to a question, and how many of them it has reached."""

from __future__ import annotations

import socket
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from time import time
from typing import Any
from uuid import uuid4

from django_lifesigns.checks.celery_app import application
from django_lifesigns.checks.celery_broker import REDIS
from django_lifesigns.checks.celery_connection import BrokerConnection

# Answers that are not fetched are thrown away by then.
EXPIRES_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What each worker has answered, by its name."""

    by_worker: dict[str, Any]
    # How many workers are connected and were handed the question; None where the broker does not tell.
    reached: int | None = None


def ask_workers(
    broker: BrokerConnection, method: str, seconds: float, *, names: Collection[str] = (), **arguments: object
) -> Answers:
    """Ask all workers, or those that are named, and wait until all have answered, or none has for so many seconds.

    The messages are those of Celery's own `inspect`, which uses further connections, repeats what fails without end,
    and always waits to the end. On Redis the wait ends with the last answer.
    """
    kombu = _kombu()
    channel = broker.kombu.default_channel
    mailbox = application().control.mailbox
    ticket = uuid4().hex
    exchange = mailbox.reply_exchange
    queue = kombu.Queue(
        f"{broker.id}.{exchange.name}",
        exchange=exchange,
        routing_key=broker.id,
        durable=False,
        auto_delete=True,
        expires=EXPIRES_SECONDS,
    )
    question = {
        "method": method,
        "arguments": arguments,
        "destination": list(names) or None,
        "pattern": None,
        "matcher": None,
        "ticket": ticket,
        "reply_to": {"exchange": exchange.name, "routing_key": broker.id},
    }
    found: dict[str, Any] = {}

    def note(body: object, message: Any) -> None:
        # Another one is late, and answers what was asked before.
        if message.headers.get("ticket") == ticket and isinstance(body, dict):
            found.update(body)

    consumer = kombu.Consumer(channel, [queue], callbacks=[note], accept=mailbox.accept, no_ack=True)
    with consumer:
        reached = _publish(broker, question, {"clock": mailbox.clock.forward(), "expires": time() + seconds})
        limit = len(names) if names else reached
        with suppress(socket.timeout):
            while limit is None or len(found) < limit:
                broker.kombu.drain_events(timeout=seconds)
    channel.after_reply_message_received(queue.name)
    return Answers(by_worker=found, reached=reached)


def _publish(broker: BrokerConnection, question: dict[str, Any], headers: dict[str, Any]) -> int | None:
    """Send a question; on Redis return to how many workers it was handed."""
    kombu = _kombu()
    channel = broker.kombu.default_channel
    mailbox = application().control.mailbox
    if broker.kombu.transport.driver_type != REDIS:
        producer = kombu.Producer(channel, auto_declare=False)
        options = {"exchange": mailbox.exchange.name, "declare": [mailbox.exchange], "serializer": mailbox.serializer}
        producer.publish(question, headers=headers, **options)
        return None
    # kombu does not return what PUBLISH does.
    content_type, encoding, body = kombu.serialization.dumps(question, mailbox.serializer)
    message = channel.prepare_message(body, content_type=content_type, content_encoding=encoding, headers=headers)
    channel._inplace_augment_message(message, mailbox.exchange.name, "")
    topic = channel._get_publish_topic(mailbox.exchange.name, "")
    with channel.conn_or_acquire() as client:
        return int(client.publish(topic, kombu.utils.json.dumps(message)))


def _kombu() -> Any:
    import kombu.serialization
    import kombu.utils.json

    return kombu
