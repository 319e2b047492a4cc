"""Whether every migration is applied, in the databases that this project migrates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections, router
from django.db.migrations.executor import MigrationExecutor

from django_lifesigns.checks.connections import returning_connections
from lifesigns import Job, JobError

# How long a further database may take. One that takes longer, or is down, keeps no pod from starting.
SECONDS = 5.0
DUMMY = "django.db.backends.dummy"
UNREACHABLE = (Error, ImproperlyConfigured, TimeoutError, JobError)


class MigrationsApplied:
    """A callable check: unapplied migrations are an error, named by database."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job[list[str]]] = {}

    def __call__(self) -> dict[str, object]:
        """Look at `default` on this thread, and at the others beside it."""
        further = [alias for alias in migrated_aliases() if alias != DEFAULT_DB_ALIAS]
        for alias in further:
            self._start(alias)
        waiting = {DEFAULT_DB_ALIAS: unapplied(DEFAULT_DB_ALIAS)} if _has_default() else {}
        unreachable = {}
        for alias in further:
            try:
                waiting[alias] = self._jobs[alias].run()
            except UNREACHABLE as error:
                unreachable[alias] = type(error).__name__
        return _result({alias: names for alias, names in waiting.items() if names}, unreachable)

    def _start(self, alias: str) -> None:
        if alias not in self._jobs:
            self._jobs[alias] = Job(returning_connections(partial(unapplied, alias)), timeout=SECONDS)
        with suppress(*UNREACHABLE):  # shown by the run that waits
            self._jobs[alias].run(deadline=0)


def migrated_aliases() -> Iterator[str]:
    """Return the databases that this project migrates: `default`, and those that a router says yes for.

    Without a router Django sends nothing to a further database, which may be another project's.
    """
    for alias in connections:
        settings = connections.settings[alias]
        if settings["ENGINE"] == DUMMY or settings["TEST"].get("MIRROR"):
            continue
        if alias == DEFAULT_DB_ALIAS or any(_router_allows(alias, label) for label in _labels()):
            yield alias


def unapplied(alias: str) -> list[str]:
    """Return the migrations that `migrate` would apply to a database, of the apps that may have tables there."""
    executor = MigrationExecutor(connections[alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    allowed = {label: _is_allowed(alias, label) for label in {migration.app_label for migration, _ in plan}}
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan if allowed[migration.app_label]]


def _has_default() -> bool:
    return DEFAULT_DB_ALIAS in migrated_aliases()


def _labels() -> list[str]:
    return [config.label for config in apps.get_app_configs()]


def _is_allowed(alias: str, label: str) -> bool:
    """Return whether any table of an app may be in a database, as `migrate` finds out."""
    models = list(apps.get_app_config(label).get_models(include_auto_created=True))
    if not models:
        return bool(router.allow_migrate(alias, label))
    return any(router.allow_migrate_model(alias, model) for model in models)


def _router_allows(alias: str, label: str) -> bool:
    """Return whether a router says yes, and not merely none says no, for any table of an app."""
    for model in apps.get_app_config(label).get_models(include_auto_created=True):
        for one in router.routers:
            hints = {"model_name": model._meta.model_name, "model": model}
            allowed = one.allow_migrate(alias, label, **hints) if hasattr(one, "allow_migrate") else None
            if allowed is not None:
                if allowed:
                    return True
                break
    return False


def _result(waiting: dict[str, list[str]], unreachable: dict[str, str]) -> dict[str, object]:
    details = {key: value for key, value in (("unapplied", waiting), ("unreachable", unreachable)) if value}
    if not waiting:
        return {"status": "healthy", "message": "All migrations are applied", "details": details}
    count = sum(map(len, waiting.values()))
    message = "1 migration is not applied" if count == 1 else f"{count} migrations are not applied"
    return {"status": "error", "message": message, "details": details}
