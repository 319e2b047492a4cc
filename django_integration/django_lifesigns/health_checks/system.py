"""The checks of the machine as functions."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.result import result_of


def check_disk_space() -> dict[str, Any]:
    """Space and inodes are left."""
    return result_of("disk_space")


def check_memory_usage() -> dict[str, Any]:
    """Memory is left."""
    return result_of("memory_usage")


def check_cpu_load() -> dict[str, Any]:
    """The processors keep up."""
    return result_of("cpu_load")
