"""From `DATABASES` to the checks of PostgreSQL, and of other engines through Django's own connection."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import load_backend

from django_lifesigns.checks.database import DatabaseConnectivity
from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import (
    CannotCheckError,
    DiscoveryContext,
    NoTargetError,
    WrongTargetError,
)
from django_lifesigns.targets.postgres_options import makes_password, server_of
from lifesigns import specs

DEFAULT_FUNCTIONS = ("cleanup_expired_sessions", "cleanup_select2_cache", "refresh_select2_materialized_views")

CONNECTIVITY = "database_connectivity"


def vendor(alias: str = DEFAULT_DB_ALIAS) -> str:
    """Return the kind of database: wrappers of an engine, such as django-prometheus's, keep that of the engine."""
    return str(_backend(alias).vendor)


def is_native(alias: str = DEFAULT_DB_ALIAS) -> bool:
    """Return whether native checks can log in to a database: PostgreSQL with a password that stays the same."""
    return vendor(alias) == "postgresql" and not makes_password(_backend(alias), connections.settings[alias])


def server(search: DiscoveryContext, alias: str = DEFAULT_DB_ALIAS) -> specs.PostgresServer:
    """Return the PostgreSQL server of a database alias; `NoTargetError` if it is another engine."""
    require_readable(search, alias)
    if vendor(alias) != "postgresql":
        raise NoTargetError(f"use PostgreSQL in DATABASES[{alias!r}] for this check")
    if not is_native(alias):
        raise CannotCheckError(f"the backend of DATABASES[{alias!r}] makes its password at each login")
    found, ignored = server_of(connections.settings[alias], f"DATABASES[{alias!r}]")
    search.in_part(f"DATABASES[{alias!r}]['OPTIONS']", ignored)
    return found


def require_readable(search: DiscoveryContext, alias: str) -> None:
    """Raise `WrongTargetError` where an entry of `DATABASES` cannot be read, or what leaves that to another check."""
    try:
        if is_native(alias):
            server_of(connections.settings[alias], f"DATABASES[{alias!r}]")
    except WrongTargetError as error:
        others = alias == DEFAULT_DB_ALIAS and search.name != CONNECTIVITY and CONNECTIVITY not in search.conf.disabled
        if not others:
            raise
        raise CannotCheckError(f"DATABASES[{alias!r}] cannot be read: see the check {CONNECTIVITY}") from error


def connectivity(search: DiscoveryContext) -> Check:
    """Check 1."""
    if vendor() == "unknown":  # Django's engine for projects without a database
        raise NoTargetError("set DATABASES to check a database")
    return _connectivity(search, DEFAULT_DB_ALIAS)


def of_alias(search: DiscoveryContext, alias: str) -> Check:
    """Connect to one database, whichever it is: as check 1 does it."""
    if vendor(alias) == "unknown":
        raise NoTargetError(f"set DATABASES[{alias!r}] to check this database")
    return _connectivity(search, alias)


def aliases() -> list[str]:
    """Return the aliases of `DATABASES`; none where Django cannot read them, as check 1 reports."""
    try:
        return list(connections)
    except Exception:  # noqa: BLE001  # whatever the settings are
        return []


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


def _connectivity(search: DiscoveryContext, alias: str) -> Check:
    return specs.Postgres(server=server(search, alias)) if is_native(alias) else DatabaseConnectivity(alias=alias)


def _backend(alias: str) -> Any:
    engine = connections.settings[alias]["ENGINE"]
    try:
        return load_backend(engine).DatabaseWrapper
    except (ImportError, ImproperlyConfigured) as error:
        raise WrongTargetError(f"DATABASES[{alias!r}]['ENGINE'] = {engine!r} cannot be imported") from error
