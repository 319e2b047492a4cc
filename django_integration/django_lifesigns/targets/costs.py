"""How a check of one's own is run by what it costs to ask, where nothing else is configured."""

from __future__ import annotations

from collections.abc import Mapping

from django_lifesigns.checks.migrations import MigrationsApplied
from django_lifesigns.checks.storage import StorageCheck
from django_lifesigns.targets.aliases import ALIAS_KINDS, STORAGE
from django_lifesigns.targets.catalogue import CATALOGUE
from django_lifesigns.targets.named import MIGRATIONS_TIMEOUT, MIGRATIONS_TTL

# Kinds that cost money, or a place on a list of banned hosts, and those of the 22 that ask the same.
COSTLY = {"smtp": "aws_ses", "google_maps": "google_maps_api", "openai": "openai_api", "anthropic": "anthropic_api"}


def run_by_cost(check: object) -> dict[str, object]:
    """Return keywords of `Engine.register` for a check."""
    if isinstance(check, StorageCheck):
        return {"ttl": ALIAS_KINDS[STORAGE].ttl}
    if isinstance(check, MigrationsApplied):
        return {"timeout": MIGRATIONS_TIMEOUT, "ttl": MIGRATIONS_TTL}
    kind = _kind(check)
    return {"ttl": CATALOGUE[COSTLY[kind]].ttl} if kind in COSTLY else {}


def is_costly(check: object) -> bool:
    """Return whether readiness, which asks critical checks every few seconds, should not rest on a check by default."""
    return isinstance(check, (StorageCheck, MigrationsApplied)) or _kind(check) in COSTLY


def _kind(check: object) -> str:
    kind = check.get("kind") if isinstance(check, Mapping) else getattr(check, "kind", None)
    return kind if isinstance(kind, str) else ""
