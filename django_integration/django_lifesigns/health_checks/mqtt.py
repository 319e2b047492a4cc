"""The checks of the MQTT broker as functions."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.result import result_of


def check_mqtt_broker() -> dict[str, Any]:
    """The broker accepts the credentials."""
    return result_of("mqtt_broker")
