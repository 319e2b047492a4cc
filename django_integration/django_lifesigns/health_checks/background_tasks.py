"""The checks of the task queue as functions."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.result import result_of


def check_task_queue() -> dict[str, Any]:
    """The queue's tables, or its broker, are there."""
    return result_of("task_queue")


def check_pending_tasks() -> dict[str, Any]:
    """No queue is too deep."""
    return result_of("pending_tasks")


def check_failed_tasks() -> dict[str, Any]:
    """Few tasks have failed in the last hour."""
    return result_of("failed_tasks")


def check_task_workers() -> dict[str, Any]:
    """As many workers as expected are alive."""
    return result_of("task_workers")
