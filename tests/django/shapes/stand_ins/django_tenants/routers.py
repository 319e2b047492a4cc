"""Which tables are made in which schema."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections


class TenantSyncRouter:
    """The shared apps' in `public`, the tenants' in their own."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        names: list[str] = settings.SHARED_APPS if connections[db].schema_name == "public" else settings.TENANT_APPS  # type: ignore[misc, attr-defined]
        config = apps.get_app_config(app_label)
        known = {config.name, f"{type(config).__module__}.{type(config).__qualname__}"}
        return None if known.intersection(names) else False
