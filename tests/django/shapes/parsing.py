"""Turns URLs of the environment into settings, as the packages do that projects read their environment with."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

POSTGRESQL = "django.db.backends.postgresql"
ENGINES = {"postgres": POSTGRESQL, "postgresql": POSTGRESQL, "postgis": "django.contrib.gis.db.backends.postgis"}


def environ_db(url: str) -> dict[str, Any]:
    """Return what django-environ makes of a database URL: the port is a number, options stay text."""
    parts = urlsplit(url)
    found: dict[str, Any] = {
        "NAME": unquote(parts.path.removeprefix("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
        "ENGINE": ENGINES[parts.scheme],
    }
    if options := dict(parse_qsl(parts.query)):
        found["OPTIONS"] = options
    return found


def dj_database_url(url: str, *, conn_max_age: int | None = 0, conn_health_checks: bool = False) -> dict[str, Any]:
    """Return what dj-database-url makes of a database URL: all its keys are there, also those of Django's defaults."""
    found = environ_db(url)
    options = found.pop("OPTIONS", {})
    more = {
        "CONN_MAX_AGE": conn_max_age,
        "CONN_HEALTH_CHECKS": conn_health_checks,
        "DISABLE_SERVER_SIDE_CURSORS": False,
    }
    return {**found, **more, **({"OPTIONS": options} if options else {})}


def cache_url(url: str, backend: str = "django_redis.cache.RedisCache") -> dict[str, Any]:
    """Return what django-environ and django-cache-url make of a cache URL: several servers are a list."""
    parts = urlsplit(url)
    scheme = parts.scheme.replace("cache", "")
    locations = [f"{scheme}://{server}{parts.path}" for server in parts.netloc.split(",")]
    options = {key.upper(): value for key, value in parse_qsl(parts.query)}
    found: dict[str, Any] = {"BACKEND": backend, "LOCATION": locations[0] if len(locations) == 1 else locations}
    return {**found, "OPTIONS": options} if options else found


def email_url(url: str) -> dict[str, Any]:
    """Return what dj-email-url makes of a mail server's URL."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "EMAIL_FILE_PATH": parts.path.removeprefix("/"),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port,
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_USE_TLS": parts.scheme == "submission" or query.get("tls") == "True",
        "EMAIL_USE_SSL": parts.scheme == "smtps" or query.get("ssl") == "True",
    }
