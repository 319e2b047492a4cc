"""From `DATABASES` to the checks of PostgreSQL, and of other engines through Django's own connection."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import load_backend

from django_lifesigns.checks.database import DatabaseConnectivity
from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import DiscoveryContext, NoTargetError, WrongTargetError
from lifesigns import specs

DEFAULT_FUNCTIONS = ("cleanup_expired_sessions", "cleanup_select2_cache", "refresh_select2_materialized_views")

# Of Django or of the driver, and without influence on whether and how the server is reached.
OPTIONS_WITHOUT_EFFECT = frozenset(
    [
        "pool",
        "server_side_binding",
        "isolation_level",
        "cursor_factory",
        "client_encoding",
        "prepare_threshold",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
    ]
)


def vendor(alias: str = DEFAULT_DB_ALIAS) -> str:
    """The kind of database: wrappers of an engine, such as django-prometheus's, keep that of the engine."""
    engine = connections.settings[alias]["ENGINE"]
    try:
        return str(load_backend(engine).DatabaseWrapper.vendor)
    except (ImportError, ImproperlyConfigured) as error:
        raise WrongTargetError(f"DATABASES[{alias!r}]['ENGINE'] = {engine!r} cannot be imported") from error


def server(search: DiscoveryContext, alias: str = DEFAULT_DB_ALIAS) -> specs.PostgresServer:
    """The PostgreSQL server of a database alias; `NoTargetError` if it is another engine."""
    if vendor(alias) != "postgresql":
        raise NoTargetError(f"use PostgreSQL in DATABASES[{alias!r}] for this check")
    found, ignored = server_of(connections.settings[alias], f"DATABASES[{alias!r}]")
    search.in_part(f"DATABASES[{alias!r}]['OPTIONS']", ignored)
    return found


def server_of(settings: Mapping[str, Any], where: str) -> tuple[specs.PostgresServer, set[str]]:
    """The server that Django would connect to with these settings, and the options that do not go into it."""
    options = {key: value for key, value in settings["OPTIONS"].items() if key not in OPTIONS_WITHOUT_EFFECT}
    name = settings["NAME"]
    if name == "" and not options.get("service"):
        raise WrongTargetError(f"{where} needs a NAME, or a service in its OPTIONS")
    if name is None:
        options.pop("service", None)
    if name != "":
        options = {"dbname": "postgres" if name is None else name, **options}
    if role := options.pop("assume_role", None):
        options["role"] = role
    for key in ("USER", "PASSWORD", "HOST", "PORT"):
        if settings[key]:
            options[key.lower()] = settings[key]
    known = {item.name for item in dataclasses.fields(specs.PostgresServer)}
    for key in ("port", "connect_timeout"):
        if key in options and not (key == "port" and "," in str(options[key])):
            options[key] = _number(options[key], where, key)
    honoured = {key: value for key, value in options.items() if key in known}
    return specs.PostgresServer(**honoured), options.keys() - known


def connectivity(search: DiscoveryContext) -> Check:
    """Check 1."""
    if vendor() == "unknown":  # Django's engine for projects without a database
        raise NoTargetError("set DATABASES to check a database")
    if vendor() != "postgresql":
        return DatabaseConnectivity()
    return specs.Postgres(server=server(search))


def postgis(search: DiscoveryContext) -> Check:
    """Check 2."""
    engine = connections.settings[DEFAULT_DB_ALIAS]["ENGINE"]
    found = server(search)
    if not (search.required or engine.endswith(".postgis") or apps.is_installed("django.contrib.gis")):
        raise NoTargetError("use the PostGIS engine in DATABASES['default'], or django.contrib.gis, to check PostGIS")
    return specs.Postgis(server=found)


def functions(search: DiscoveryContext) -> Check:
    """Check 3."""
    configured = search.conf.postgresql_functions
    if configured == ():
        raise NoTargetError("LIFESIGNS['POSTGRESQL_FUNCTIONS'] names no function")
    return specs.PostgresFunctions(
        server=server(search),
        functions=configured or DEFAULT_FUNCTIONS,
        required=search.required or configured is not None,
    )


def statements(search: DiscoveryContext) -> Check:
    """Check 9."""
    return specs.PostgresStatements(server=server(search), required=search.required or None)


def pool(search: DiscoveryContext) -> Check:
    """Check 10."""
    return specs.PostgresConnections(server=server(search))


def _number(value: object, where: str, key: str) -> int:
    try:
        return int(str(value))
    except ValueError as error:
        raise WrongTargetError(f"{where}: {key} must be a whole number") from error
