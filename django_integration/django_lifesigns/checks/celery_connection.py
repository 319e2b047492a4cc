"""A connection to Celery's broker, kept from run to run: failures name the broker, and nothing that a library says."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from django_lifesigns.checks.celery_app import application
from django_lifesigns.checks.celery_broker import wait_in_short_steps
from django_lifesigns.checks.connection_cache import ConnectionCache
from lifesigns import CheckFailed

# A lost packet is sent again after a second.
CONNECT_SECONDS = 2
# For what the broker itself answers.
ANSWER_SECONDS = 2
# By the kind of broker, in its library's words.
LIMITS: dict[str, dict[str, object]] = {
    "redis": {"socket_connect_timeout": CONNECT_SECONDS, "socket_timeout": ANSWER_SECONDS, "retry_on_timeout": False},
    "amqp": {"read_timeout": ANSWER_SECONDS, "write_timeout": ANSWER_SECONDS},
}

T = TypeVar("T")


@dataclass
class BrokerConnection:
    """A connection of kombu that one run has at a time."""

    kombu: Any
    # Names the queue of answers to what is asked over it. One that takes the place of a lost one has its name, so that
    # what has come for that is cleared.
    id: str
    has_served: bool = False

    def close(self) -> None:
        with suppress(Exception):  # of a broker that is gone
            self.kombu.release()


class _LostError(Exception):
    """The connection with this name, which has served before, is of no use any more."""


_connections: ConnectionCache[BrokerConnection] = ConnectionCache(BrokerConnection.close)


def with_broker(use: Callable[[BrokerConnection], T]) -> T:
    """Return what `use` finds over the kept connection, or over a new one where there is none or it is lost.

    `CheckFailed` where no broker accepts a connection, or it breaks.
    """
    try:
        return _run(use, uuid4().hex, may_be_lost=True)
    except _LostError as lost:
        return _run(use, str(lost), may_be_lost=False)


def _run(use: Callable[[BrokerConnection], T], name: str, *, may_be_lost: bool) -> T:
    app = application()
    key = (id(app), repr(app.conf.broker_read_url or app.conf.broker_url))
    with _connections.borrow(key, partial(_connect, name)) as broker:
        was_kept, broker.has_served = broker.has_served, True
        try:
            return use(broker)
        except _errors(broker.kombu) as error:
            # One that did not answer in time would not do so over another connection either.
            if may_be_lost and was_kept and not _is_timeout(error):
                raise _LostError(broker.id) from error
            raise _failed(broker.kombu, error) from error


def kind_of_broker() -> str:
    """Return the kind of the broker, which a new connection has reached; `CheckFailed` where none can."""
    broker = _connect(name="")
    try:
        return str(broker.kombu.transport.driver_type)
    finally:
        broker.close()


def _connect(name: str) -> BrokerConnection:
    """Connect as a worker would, to each broker of the URLs once."""
    connection = application().connection_for_read(connect_timeout=CONNECT_SECONDS, heartbeat=0)
    connection.transport_options = {**connection.transport_options, **LIMITS.get(connection.transport.driver_type, {})}
    try:
        connection.ensure_connection(max_retries=len(connection.alt) - 1 if connection.alt else 0)
        wait_in_short_steps(connection)
    except _errors(connection) as error:
        raise _failed(connection, error) from error
    return BrokerConnection(connection, name)


def _errors(connection: Any) -> tuple[type[Exception], ...]:
    from kombu.exceptions import OperationalError

    return (OperationalError, *connection.connection_errors)


def _failed(connection: Any, error: Exception) -> CheckFailed:
    # The text of the library's error, or of what it was made of, may hold anything.
    kind = type(error.__cause__ or error).__name__
    return CheckFailed(f"{broker_name(connection)} cannot be reached ({kind})")


def _is_timeout(error: Exception) -> bool:
    return isinstance(error, TimeoutError) or type(error).__name__ == "TimeoutError"  # that of redis-py


def broker_name(connection: Any) -> str:
    """Return `host:port` of a broker."""
    host, port = connection.hostname or "localhost", connection.port or connection.info().get("port")
    return f"{host}:{port}" if port else str(host)
