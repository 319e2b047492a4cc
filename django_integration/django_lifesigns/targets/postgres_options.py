"""From an entry of `DATABASES` to the PostgreSQL server that Django would connect to, in libpq's words."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from importlib import import_module
from os import PathLike
from typing import Any

from django_lifesigns.targets.context import WrongTargetError
from lifesigns import specs

# Of Django, the driver or libpq, and without influence on whether and how the server is reached.
WITHOUT_EFFECT = frozenset(
    [
        "pool",
        "server_side_binding",
        "isolation_level",
        "autocommit",
        "connection_factory",
        "context",
        "cursor_factory",
        "prepare_threshold",
        "row_factory",
        "client_encoding",
        "fallback_application_name",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "max_protocol_version",
        "min_protocol_version",
        "sslcompression",
        "sslkeylogfile",
        "tcp_user_timeout",
    ]
)
# Known to libpq, and not to the native checks.
NOT_HONOURED = frozenset(
    [
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_issuer",
        "oauth_scope",
        "replication",
        "require_auth",
        "requirepeer",
        "scram_client_key",
        "scram_server_key",
        "ssl_max_protocol_version",
        "ssl_min_protocol_version",
        "sslcertmode",
        "sslsni",
    ]
)
# Django's own, and wrappers that change only the cursor.
KEEPS_PASSWORD = ("django.db.backends.", "django.contrib.gis.", "django_prometheus.")
SERVER = frozenset(item.name for item in dataclasses.fields(specs.PostgresServer))
NUMBERS = ("port", "connect_timeout")


def server_of(settings: Mapping[str, Any], where: str) -> tuple[specs.PostgresServer, set[str]]:
    """Return the server that Django would connect to with these settings, and the options that do not go into it."""
    _require_accepted(settings, where)
    options = {
        key: value
        for key, value in _options(settings, where).items()
        # As psycopg does, what is None is left out.
        if key not in WITHOUT_EFFECT and value is not None
    }
    name = settings["NAME"]
    if name == "" and not options.get("service"):
        raise WrongTargetError(f"{where} needs a NAME, or a service in its OPTIONS")
    if name is None:
        options.pop("service", None)
    if name != "":
        options = {"dbname": "postgres" if name is None else str(name), **options}
    if role := options.pop("assume_role", None):
        options["role"] = role
    _refuse(options.keys() - SERVER - NOT_HONOURED, where)
    for key in ("USER", "PASSWORD", "HOST", "PORT"):
        if settings[key]:
            options[key.lower()] = str(settings[key])
    for key in NUMBERS:
        if key in options and not (key == "port" and "," in str(options[key])):
            options[key] = _number(options[key], where, key)
    honoured = {key: value for key, value in options.items() if key in SERVER}
    return specs.PostgresServer(**honoured), options.keys() - SERVER


def makes_password(backend: type, settings: Mapping[str, Any]) -> bool:
    """Return whether the backend makes its password, or another parameter, at each login: a token of a cloud."""
    own: Any = getattr(backend, "get_connection_params", None)
    if own is not None and not own.__module__.startswith(KEEPS_PASSWORD):
        return True
    options = settings.get("OPTIONS")
    values = [settings.get("USER"), settings.get("PASSWORD")]
    if isinstance(options, Mapping):
        values += [value for key, value in options.items() if key not in WITHOUT_EFFECT]
    return not all(value is None or isinstance(value, (str, int, float, PathLike)) for value in values)


def _options(settings: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    options = settings["OPTIONS"]
    if not isinstance(options, Mapping):
        raise WrongTargetError(f"{where}['OPTIONS'] must be a dict")
    return options


def _require_accepted(settings: Mapping[str, Any], where: str) -> None:
    """Raise `WrongTargetError` where Django itself raises before it connects."""
    options = _options(settings, where)
    if options.get("pool"):
        if settings.get("CONN_MAX_AGE", 0) != 0:
            raise WrongTargetError(f"{where}: Django cannot connect with both CONN_MAX_AGE and a pool in OPTIONS")
        try:
            import_module("psycopg_pool")
        except ImportError as error:
            raise WrongTargetError(f"{where}: Django cannot connect with a pool without psycopg[pool]") from error
    if (level := options.get("isolation_level")) is not None:
        from django.db.backends.postgresql.psycopg_any import IsolationLevel

        try:
            IsolationLevel(level)
        except ValueError as error:
            raise WrongTargetError(f"{where}['OPTIONS']: Django knows no such isolation_level") from error


def _refuse(unknown: Iterable[str], where: str) -> None:
    """Raise `WrongTargetError` with a message for each option with which libpq refuses to connect."""
    messages = [
        f"{where}['OPTIONS']: libpq has no option {name!r}, so that Django cannot connect" for name in sorted(unknown)
    ]
    if messages:
        raise WrongTargetError(*messages)


def _number(value: object, where: str, key: str) -> int:
    try:
        return int(str(value))
    except ValueError as error:
        raise WrongTargetError(f"{where}: {key} must be a whole number") from error
