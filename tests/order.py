"""The order of tests: files that take longest first, or, with `LIFESIGNS_ORDER=SEED`, all in the order of that seed."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from itertools import groupby

import pytest

SEED = os.environ.get("LIFESIGNS_ORDER")
# Processes of a test run take file after file: one that takes a minute must not be the last.
LONGEST = (
    "tests/fleet/test_scale.py",
    "tests/django/test_odd_settings.py",
    "tests/django/test_server_matrix.py",
    "tests/django/test_worker.py",
    "tests/process/test_wedge.py",
    "tests/django/test_celery_workers.py",
    "tests/django/test_pages_browser.py",
    "tests/checks/test_postgres_connection.py",
    "tests/alerts/test_incidents.py",
    "tests/django/test_alerts_processes.py",
    "tests/django/test_mistakes.py",
    "tests/django/test_commands_terminal.py",
    "tests/docs/test_examples.py",
)


def ordered(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the items with those of each file together, as `--dist loadfile` runs them."""
    files = [list(group) for _, group in groupby(items, _file)]
    if SEED is None:
        files.sort(key=_place)
    else:
        shuffle = random.Random(SEED).shuffle
        shuffle(files)
        for file in files:
            shuffle(file)
    return [item for file in files for item in file]


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _place(file: list[pytest.Item]) -> int:
    name = _file(file[0])
    return LONGEST.index(name) if name in LONGEST else len(LONGEST)
