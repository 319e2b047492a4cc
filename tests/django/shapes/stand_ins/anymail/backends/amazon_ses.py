"""Amazon SES by its API."""

from __future__ import annotations

from .base import AnymailBaseBackend


class EmailBackend(AnymailBaseBackend):
    """Amazon SES."""
