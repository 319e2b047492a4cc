"""The check of the MQTT broker as a function."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.project_breaker import ProjectBreaker
from django_lifesigns.health_checks.result import result_of

mqtt_circuit_breaker = ProjectBreaker("mqtt_broker")


def check_mqtt_broker() -> dict[str, Any]:
    """Check that the broker accepts the credentials."""
    return result_of("mqtt_broker", mqtt_circuit_breaker)
