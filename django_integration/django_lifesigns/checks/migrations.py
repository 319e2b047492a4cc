"""Whether every migration is applied, in the databases that this project migrates."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.migrations.executor import MigrationExecutor

from django_lifesigns.checks.connections import returning_connections
from lifesigns import Job

# A further database that is down does not keep the project from starting.
FURTHER_SECONDS = 3.0


def migrations_applied() -> dict[str, object]:
    """Unapplied migrations are an error, named by database."""
    waiting = dict(_waiting())
    if not waiting:
        return {"status": "healthy", "message": "All migrations are applied"}
    count = sum(map(len, waiting.values()))
    are = "1 migration is" if count == 1 else f"{count} migrations are"
    return {"status": "error", "message": f"{are} not applied", "details": {"unapplied": waiting}}


def _waiting() -> Iterator[tuple[str, list[str]]]:
    further = {
        alias: Job(partial(_further_plan, alias), timeout=FURTHER_SECONDS)
        for alias in connections
        if _may_be_migrated(alias)
    }
    for job in further.values():
        _try(job, deadline=0)
    # Django's engine for projects without a database can do nothing.
    own = [] if connections[DEFAULT_DB_ALIAS].vendor == "unknown" else _plan(DEFAULT_DB_ALIAS)
    for alias, plan in [(DEFAULT_DB_ALIAS, own), *((alias, _try(job)) for alias, job in further.items())]:
        if plan:
            yield alias, plan


def _may_be_migrated(alias: str) -> bool:
    """Return whether a further database is one of this project's own, as far as its settings and routers show."""
    settings = connections.settings[alias]
    if alias == DEFAULT_DB_ALIAS or settings["TEST"].get("MIRROR") or connections[alias].vendor == "unknown":
        return False
    from django.apps import apps

    return any(router.allow_migrate(alias, config.label) for config in apps.get_app_configs())


def _further_plan(alias: str) -> list[str]:
    plan: list[str] = returning_connections(partial(_plan, alias, further=True))()
    return plan


def _plan(alias: str, *, further: bool = False) -> list[str]:
    executor = MigrationExecutor(connections[alias])
    if further:
        # One that was never migrated, or that another project has migrated, is not ours to migrate.
        applied = {app for app, _ in executor.recorder.applied_migrations()}
        if not applied or ("lifesigns" not in applied and applied - executor.loader.migrated_apps):
            return []
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _try(job: Job[list[str]], deadline: float | None = None) -> list[str]:
    try:
        return job.run(deadline=deadline)
    except Exception:  # noqa: BLE001  # it does not answer, or is not there: that is for its own check to say
        return []
