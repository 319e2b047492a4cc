"""Whether every migration is applied, in the databases that this project migrates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
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


# By alias, what looks at a further database: one that hangs holds one thread, however many checks request it.
_jobs: dict[str, Job[list[str]]] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class MigrationsApplied:
    """A callable check: migrations that are not applied have the status `unapplied`, and are named by database.

    Without `databases` it looks at those that this project migrates.
    """

    databases: tuple[str, ...] = ()
    unapplied: str = "error"

    def __call__(self) -> dict[str, object]:
        """Look at `default` on this thread, and at the others beside it."""
        aliases = self.databases or tuple(migrated_aliases())
        further = [alias for alias in aliases if alias != DEFAULT_DB_ALIAS]
        for alias in further:
            _start(alias)
        waiting = {DEFAULT_DB_ALIAS: unapplied_in(DEFAULT_DB_ALIAS)} if DEFAULT_DB_ALIAS in aliases else {}
        unreachable = {}
        for alias in further:
            try:
                waiting[alias] = _jobs[alias].run()
            except UNREACHABLE as error:
                unreachable[alias] = type(error).__name__
        waiting = {alias: names for alias, names in waiting.items() if names}
        return self._result(waiting, unreachable)

    def _result(self, waiting: dict[str, list[str]], unreachable: dict[str, str]) -> dict[str, object]:
        found = (("unapplied", waiting), ("unreachable", unreachable))
        details = {key: value for key, value in found if value}
        count = sum(map(len, waiting.values()))
        if count:
            message = "1 migration is not applied" if count == 1 else f"{count} migrations are not applied"
            return {"status": self.unapplied, "message": message, "details": details}
        if unreachable and self.databases:
            message = f"The migrations of {', '.join(unreachable)} cannot be read"
            return {"status": "error", "message": message, "details": details}
        return {"status": "healthy", "message": "All migrations are applied", "details": details}


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


def unapplied_in(alias: str) -> list[str]:
    """Return the migrations that `migrate` would apply to a database, of the apps that may have tables there."""
    executor = MigrationExecutor(connections[alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    allowed = {label: _is_allowed(alias, label) for label in {migration.app_label for migration, _ in plan}}
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan if allowed[migration.app_label]]


def _start(alias: str) -> None:
    if alias not in _jobs:
        job = Job(returning_connections(partial(unapplied_in, alias)), timeout=SECONDS)
        _jobs.setdefault(alias, job)
    with suppress(*UNREACHABLE):  # shown by the run that waits
        _jobs[alias].run(deadline=0)


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
