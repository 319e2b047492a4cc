"""The checks of the directories as functions."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.result import result_of


def check_directory_permissions() -> dict[str, Any]:
    """Files can be written where the application writes."""
    return result_of("directory_permissions")
