"""The checks of the channel layer as functions."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.result import result_of


def check_channel_layer() -> dict[str, Any]:
    """A message that is sent is received."""
    return result_of("channel_layer")
