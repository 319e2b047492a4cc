"""The order of tests: what takes longest first, or, with `LIFESIGNS_ORDER=SEED`, all in the order of that seed."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

SEED = os.environ.get("LIFESIGNS_ORDER")
# Processes of a test run take unit after unit: a file, or one test of these files, which have no fixture in common that
# is worth keeping, and of which some take a minute.
SPLIT = (
    "tests/actions/test_wedged_worker.py",
    "tests/django/test_alerts_databases.py",
    "tests/django/test_alerts_hosts.py",
    "tests/django/test_alerts_processes.py",
    "tests/django/test_celery.py",
    "tests/django/test_celery_workers.py",
    "tests/django/test_dashboard.py",
    "tests/django/test_history_background.py",
    "tests/django/test_migrations.py",
    "tests/django/test_rollups.py",
    "tests/django/test_server_matrix.py",
    "tests/django/test_worker.py",
    "tests/fleet/",
    "tests/process/test_wedge.py",
)
# Files of one unit: each process of a test run would start the server that they need, which takes 5 s of a processor.
TOGETHER = (
    (
        "tests/django/test_celery_rabbitmq.py",
        "tests/django/queues/test_celery_brokers.py",
        "tests/django/queues/test_celery_connection.py",
        "tests/django/queues/test_deploys.py",
        "tests/checks/test_amqp.py",
    ),
    ("tests/django/test_pages_browser.py", "tests/django/test_dashboard_browser.py"),
)
# What takes a minute must not be the last: how the names of units start, the longest first.
LONGEST = (
    "tests/fleet/test_scale.py",
    "tests/django/test_project_shapes.py",
    "tests/django/test_servers.py",
    "tests/django/test_pages_browser.py",
    "tests/django/test_celery_rabbitmq.py",
    "tests/docs/test_examples.py",
    "tests/actions/test_eight_workers.py",
    "tests/alerts/test_incidents.py",
    "tests/django/test_dashboard.py::test_database__stopped_the_page_answers_from_what_is_known",
    "tests/fleet/test_failover.py",
    "tests/django/test_kept_connections.py",
    "tests/django/test_alerts_databases.py",
    "tests/django/test_alerts_hosts.py",
    "tests/fleet/test_faults.py",
    "tests/fleet/test_incidents.py",
    "tests/fleet/test_actions.py",
    "tests/fleet/test_action_limits.py",
    "tests/fleet/",
    "tests/django/test_alerts_processes.py",
    "tests/django/test_first_use.py",
    "tests/process/test_first_use.py",
    "tests/django/queues/",
    "tests/django/queues_sql/",
    "tests/django/test_celery.py",
    "tests/django/test_celery_workers.py",
    "tests/django/test_history_background.py",
    "tests/django/test_server_matrix.py::test_recycled_workers_answer_and_lose_no_history",
    "tests/django/test_objectives_simulated.py",
    "tests/django/test_odd_settings.py",
    "tests/django/test_mistakes.py",
    "tests/django/test_commands_terminal.py",
    "tests/django/test_access_log.py",
    "tests/django/test_asgi.py",
    "tests/checks/test_postgres",
    "tests/actions/",
    "tests/alerts/",
    "tests/django/test_history_",
    "tests/django/test_re",
    "tests/django/test_se",
    "tests/django/test_stack.py",
    "tests/django/test_rollups.py",
    "tests/django/test_server_matrix.py",
    "tests/django/test_worker.py",
    "tests/django/test_migrations.py",
    "tests/process/test_wedge.py",
)
# What waits most of the time, for leases and reminders: every other process of a test run takes these first, and the
# others take what needs a processor. Otherwise the processors would be idle first, and too busy then.
WAITING = (
    "tests/fleet/",
    "tests/actions/test_actions.py",
    "tests/actions/test_hostile.py",
    "tests/actions/test_wedged_worker.py",
    "tests/alerts/",
    "tests/django/test_alerts_hosts.py",
    "tests/django/test_alerts_processes.py",
    "tests/django/test_stopped_servers.py",
    "tests/django/test_worker.py",
    "tests/process/test_wedge.py",
)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # it has no types
    """Gives each process of a test run the tests of a unit, and the next unit when these are about to end."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if SEED is None:
            waits = self.nodes.index(node) % 2 == 0
            unit = next((unit for unit in self.workqueue if unit.startswith(WAITING) == waits), None)
            if unit is not None:
                self.workqueue.move_to_end(unit, last=False)
        super()._assign_work_unit(node)


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
    """Return the file of a test, the first of those that are one unit, or the test itself if it is a unit."""
    for files in TOGETHER:
        if nodeid.startswith(files):
            return files[0]
    return nodeid if nodeid.startswith(SPLIT) else nodeid.partition("::")[0]


def _place(unit: str) -> int:
    """Return the place of the name that the unit's starts with, or that of all others."""
    return next((place for place, name in enumerate(LONGEST) if unit.startswith(name)), len(LONGEST))
