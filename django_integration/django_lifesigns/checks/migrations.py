"""Whether every migration is applied."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.migrations.executor import MigrationExecutor


def migrations_applied() -> dict[str, object]:
    """Unapplied migrations are an error, named by database."""
    waiting = dict(_waiting())
    if not waiting:
        return {"status": "healthy", "message": "All migrations are applied"}
    count = sum(map(len, waiting.values()))
    return {"status": "error", "message": f"{count} migrations are not applied", "details": {"unapplied": waiting}}


def _waiting() -> Iterator[tuple[str, list[str]]]:
    for alias in connections:
        executor = MigrationExecutor(connections[alias])
        # A further database that was never migrated is not ours to migrate.
        if alias == DEFAULT_DB_ALIAS or executor.recorder.has_table():
            plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
            if plan:
                yield alias, [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
