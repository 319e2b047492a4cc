"""A connection to Celery's broker whose failures name the broker, and nothing that a library says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django_lifesigns.checks.celery_app import application
from lifesigns import CheckFailed

CONNECT_SECONDS = 4


@contextmanager
def connected(**options: Any) -> Iterator[Any]:
    """Connect as a worker would; `CheckFailed` where no broker accepts it, or the connection breaks."""
    from kombu.exceptions import OperationalError

    with application().connection_for_read(connect_timeout=CONNECT_SECONDS, **options) as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
            yield connection
        except (OperationalError, *connection.connection_errors) as error:
            # The text of the library's error, or of what it was made of, may hold anything.
            kind = type(error.__cause__ or error).__name__
            raise CheckFailed(f"{broker_name(connection)} cannot be reached ({kind})") from error


def broker_name(connection: Any) -> str:
    """Return `host:port` of a broker."""
    host, port = connection.hostname or "localhost", connection.port or connection.info().get("port")
    return f"{host}:{port}" if port else str(host)
