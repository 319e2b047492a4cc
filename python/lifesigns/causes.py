"""What an exception of a client says about its server or its packages, without the text, which may quote a password."""

from __future__ import annotations

import re
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Exceptions of one chain that are looked at.
MAX_CAUSES = 5
# Their classes say all, whatever their texts quote.
_OF_THE_SYSTEM: tuple[tuple[tuple[type[OSError], ...], str], ...] = (
    ((ConnectionRefusedError,), "{} refused the connection"),
    ((ConnectionAbortedError, ConnectionResetError, BrokenPipeError), "{} closed the connection"),
    ((socket.gaierror,), "The name of {} cannot be resolved"),
    ((TimeoutError,), "{} did not answer in time"),
)
# What the exceptions of clients are called that stand above those.
_OF_A_CONNECTION = re.compile("Connect|Interface|Operational|Timeout|Unreachable")
_MYSQL = "pymysql", "MySQLdb"
# What exceptions of redis-py say by their class, which stands for the word with which the server begins its reply.
_OF_REDIS = {
    "AuthenticationError": "{} rejected the credentials",
    "BusyLoadingError": "{} is loading its data",
    "ClusterDownError": "{} cannot serve: its cluster is down",
    "MasterDownError": "{} cannot serve: its master is down",
    "NoPermissionError": "{} refused the request: this user has no right to it",
    "OutOfMemoryError": "{} refused the request: it has reached its maxmemory",
    "ReadOnlyError": "{} refused the request: it is a read-only replica",
}
# The numbers with which MySQL's and MariaDB's clients begin their errors.
_OF_MYSQL = {
    1040: "{} cannot serve: all of its connections are taken",
    1044: "{} refused the request: this user has no right to the database",
    1045: "{} rejected the user or the password",
    1049: "{} refused the request: the database does not exist",
    1129: "{} refused the request: it has blocked this host, since too many of its connections failed",
    1130: "{} refused the request: it allows no user from this host",
    1203: "{} cannot serve: too many connections of this user",
    1226: "{} cannot serve: too many connections of this user",
    1698: "{} rejected the user or the password",
    2002: "{} cannot be reached",
    2003: "{} cannot be reached",
    2005: "The name of {} cannot be resolved",
    2006: "{} closed the connection",
    2013: "{} closed the connection",
    2026: "TLS with {} failed",
}


def unreachable(error: BaseException, server: str) -> str | None:
    """Return why a server could not be reached or used, by an exception of the operating system or a client's own.

    None where neither says so, or where what was raised is about something else than the connection.
    """
    # Which of several it was, is not known.
    server = f"one of {server}" if ", " in server else server
    text = _by_system(error) or _by_number(error) or _by_class(error)
    return text and _capitalized(text.format(server))


def missing_module(error: BaseException) -> str | None:
    """Return the name of the module without which a library could not be imported."""
    for cause in _chain(error, contexts=False):
        if isinstance(cause, ModuleNotFoundError) and re.fullmatch(r"[\w.]{1,100}", str(cause.name)):
            return cause.name
    return None


def _by_system(error: BaseException) -> str | None:
    for cause in _chain(error):
        for kinds, text in _OF_THE_SYSTEM:
            if isinstance(cause, kinds):
                return text
        if not (isinstance(cause, OSError) or _OF_A_CONNECTION.search(type(cause).__name__)):
            return None
    return None


def _by_number(error: BaseException) -> str | None:
    for cause in _chain(error):
        if type(cause).__module__.startswith(_MYSQL) and cause.args and isinstance(cause.args[0], int):
            return _OF_MYSQL.get(cause.args[0])
    return None


def _by_class(error: BaseException) -> str | None:
    for cause in _chain(error):
        if type(cause).__module__ == "redis.exceptions" and (text := _OF_REDIS.get(type(cause).__name__)):
            return text
    return None


def _chain(error: BaseException, *, contexts: bool = True) -> Iterator[BaseException]:
    """The exception and its causes."""
    cause: BaseException | None = error
    for _ in range(MAX_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or (cause.__context__ if contexts else None)


def _capitalized(text: str) -> str:
    return f"O{text[1:]}" if text.startswith("one of ") else text
