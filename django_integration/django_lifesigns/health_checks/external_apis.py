"""The checks of mail and external APIs as functions."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.project_breaker import ProjectBreaker
from django_lifesigns.health_checks.result import result_of

ses_circuit_breaker = ProjectBreaker("aws_ses")
gmaps_circuit_breaker = ProjectBreaker("google_maps_api")
openai_circuit_breaker = ProjectBreaker("openai_api")
anthropic_circuit_breaker = ProjectBreaker("anthropic_api")


def check_aws_ses() -> dict[str, Any]:
    """Check that the mail server accepts the credentials."""
    return result_of("aws_ses", ses_circuit_breaker)


def check_google_maps_api() -> dict[str, Any]:
    """Check that Google's geocoding API accepts the key."""
    return result_of("google_maps_api", gmaps_circuit_breaker)


def check_openai_api() -> dict[str, Any]:
    """Check that OpenAI's API accepts the key."""
    return result_of("openai_api", openai_circuit_breaker)


def check_anthropic_api() -> dict[str, Any]:
    """Check that Anthropic's API accepts the key."""
    return result_of("anthropic_api", anthropic_circuit_breaker)
