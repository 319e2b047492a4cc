"""The checks of mail and external APIs as functions."""

from __future__ import annotations

from typing import Any

from django_lifesigns.health_checks.result import result_of


def check_aws_ses() -> dict[str, Any]:
    """The mail server accepts the credentials."""
    return result_of("aws_ses")


def check_google_maps_api() -> dict[str, Any]:
    """Google's geocoding API accepts the key."""
    return result_of("google_maps_api")


def check_openai_api() -> dict[str, Any]:
    """OpenAI's API accepts the key."""
    return result_of("openai_api")


def check_anthropic_api() -> dict[str, Any]:
    """Anthropic's API accepts the key."""
    return result_of("anthropic_api")
