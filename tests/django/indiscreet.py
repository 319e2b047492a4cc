"""Checks of a project that give away every secret they know."""

from __future__ import annotations

from django.conf import settings


class LeakyError(Exception):
    """An error of a client library, which quotes what it was given."""


def planted() -> str:
    """Every secret of the settings, in one text."""
    return str(vars(settings._wrapped)["PLANTED"])


def raises() -> None:
    """An exception with all of them."""
    raise LeakyError(planted())


async def raises_later() -> None:
    """The same from a coroutine."""
    try:
        raises()
    except LeakyError as error:
        raise RuntimeError(f"for {error}") from error


def quotes() -> dict[str, object]:
    """A message and details made from an exception, as is often done."""
    try:
        raises()
    except LeakyError as error:
        return {"status": "error", "message": str(error), "details": {"error": repr(error), str(error): [str(error)]}}
    return {}


def returns_nonsense() -> list[str]:
    """No result at all."""
    return [planted()]


def is_no_status() -> dict[str, str]:
    """A status that is none."""
    return {"status": planted(), "message": planted()}


def details_are_none() -> dict[str, str]:
    """Details that are none."""
    return {"status": "error", "details": planted()}


def database_quotes() -> dict[str, str]:
    """What the database says of a literal that it cannot read; SQLite reads all of them."""
    from django.db import Error, connection

    message = "no number"
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT CAST('s3cr3t-literal' AS integer)")
    except Error as error:
        message = str(error)
    return {"status": "error", "message": message}


OWN = [raises, raises_later, quotes, returns_nonsense, is_no_status, details_are_none, database_quotes]
