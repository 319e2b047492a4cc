"""From API keys to the checks of the external APIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import DiscoveryContext, NoTargetError, WrongTargetError
from lifesigns import specs


def google_maps(search: DiscoveryContext) -> Check:
    """Check 17."""
    key = getattr(settings, "GOOGLE_MAP_SECRET_KEY", None)
    if not key:
        raise NoTargetError("set GOOGLE_MAP_SECRET_KEY to check the Google Maps API")
    return specs.GoogleMaps(api_key=str(key), base_url=search.conf.google_maps_base_url)


def openai(search: DiscoveryContext) -> Check:
    """Check 18."""
    return specs.OpenAI(**_provider("openai"))


def anthropic(search: DiscoveryContext) -> Check:
    """Check 19."""
    return specs.Anthropic(**_provider("anthropic"))


def _provider(name: str) -> dict[str, Any]:
    providers = getattr(settings, "LLM_PROVIDERS", None) or {}
    provider = providers.get(name) if isinstance(providers, Mapping) else providers
    if provider is not None and not isinstance(provider, Mapping):
        raise WrongTargetError("LLM_PROVIDERS must be a dict of dicts")
    if not provider or not provider.get("api_key"):
        raise NoTargetError(f"set LLM_PROVIDERS[{name!r}]['api_key'] to check this API")
    return {"api_key": str(provider["api_key"]), "base_url": provider.get("base_url") or None}
