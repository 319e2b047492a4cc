"""What the engines of databases write differently in SQL."""

from __future__ import annotations

from django.db import connections

from django_lifesigns.targets.databases import vendor


def joined(database: str, first: str, second: str) -> str:
    """Return two columns of text with a colon between them."""
    if _vendor(database) == "mysql":
        return f"concat({first}, ':', {second})"
    return f"{first} || ':' || {second}"


def seconds_before(database: str, time: str, seconds: int) -> str:
    """Return the time so many seconds before another; NULL for engines where this is not known."""
    known = {
        "postgresql": f"{time} - interval '{seconds} seconds'",
        "mysql": f"{time} - INTERVAL {seconds} SECOND",
        "sqlite": f"datetime({time}, '-{seconds} seconds')",
    }
    return known.get(_vendor(database), "NULL")


def _vendor(database: str) -> str:
    """Return the kind of database; nothing for an alias that is not in `DATABASES`, which is reported elsewhere."""
    return vendor(database) if database in connections.settings else ""
