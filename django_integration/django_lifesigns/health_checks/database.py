"""The checks of the database as functions."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.result import result_of


def check_database_connectivity() -> dict[str, Any]:
    """The database answers."""
    return result_of("database_connectivity")


def check_postgis_extension() -> dict[str, Any]:
    """PostGIS is installed and computes."""
    return result_of("postgis_extension")


def check_database_performance() -> dict[str, Any]:
    """Few statements are slow."""
    return result_of("database_performance")


def check_connection_pool() -> dict[str, Any]:
    """The server has connections left."""
    return result_of("connection_pool")


def check_custom_postgresql_functions() -> dict[str, Any]:
    """The configured functions exist."""
    return result_of("postgresql_functions")
