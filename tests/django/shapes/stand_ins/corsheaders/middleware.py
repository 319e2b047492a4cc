"""Adds headers for other origins."""

from __future__ import annotations

from typing import Any

from django.utils.decorators import sync_and_async_middleware


@sync_and_async_middleware
def CorsMiddleware(get_response: Any) -> Any:
    """Pass requests on."""
    return get_response
