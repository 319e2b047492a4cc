"""The order of tests: what takes longest first, or, with `LIFESIGNS_ORDER=SEED`, all in the order of that seed."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadFileScheduling

SEED = os.environ.get("LIFESIGNS_ORDER")
# Processes of a test run take file after file: one that takes a minute must not be the last. A function named here is
# taken by itself, apart from the rest of its file.
LONGEST = (
    "tests/django/test_server_matrix.py::test_recycled_workers_answer_and_lose_no_history",
    "tests/fleet/test_scale.py",
    "tests/fleet/test_actions.py",
    "tests/fleet/test_incidents.py",
    "tests/fleet/test_faults.py",
    "tests/fleet/test_failover.py",
    "tests/django/test_project_shapes.py",
    "tests/django/test_server_matrix.py::test_sigterm_probes_are_503_to_the_end",
    "tests/django/test_odd_settings.py",
    "tests/django/test_objectives_simulated.py",
    "tests/django/test_alerts_databases.py",
    "tests/django/test_worker.py",
    "tests/process/test_wedge.py",
    "tests/django/test_migrations.py",
    "tests/django/test_alerts_processes.py",
    "tests/django/test_mistakes.py",
    "tests/django/test_commands_terminal.py",
    "tests/django/test_dashboard_browser.py",
    "tests/actions/test_eight_workers.py",
    "tests/django/test_servers.py",
    "tests/django/test_first_use.py",
    "tests/alerts/test_incidents.py",
    "tests/django/test_celery_workers.py",
    "tests/django/test_pages_browser.py",
    "tests/checks/test_postgres_connection.py",
    "tests/docs/test_examples.py",
)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Gives each process of a test run the tests of a unit, and the next unit when these are about to end."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def ordered(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the items with those of each unit together."""
    units: dict[str, list[pytest.Item]] = {}
    for item in items:
        units.setdefault(unit_of(item.nodeid), []).append(item)
    if SEED is None:
        names = sorted(units, key=_place)
    else:
        names = list(units)
        shuffle = random.Random(SEED).shuffle
        shuffle(names)
        for unit in units.values():
            shuffle(unit)
    return [item for name in names for item in units[name]]


def unit_of(nodeid: str) -> str:
    """Return the file of a test, or its function if that is a unit."""
    function = nodeid.partition("[")[0]
    return function if function in LONGEST else nodeid.partition("::")[0]


def _place(unit: str) -> int:
    return LONGEST.index(unit) if unit in LONGEST else len(LONGEST)
