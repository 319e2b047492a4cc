"""Each kind of fault once, with bounds wide enough for a busy machine; `make faults` drives all cells to the letter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import forks
from tests.faults.cells import FAULTS, Cell
from tests.faults.measure import Bounds, measure
from tests.faults.system import System, running

# Starts servers: not for the interpreters of the test matrix.
pytestmark = pytest.mark.services

# The dependencies in turn; all where a check has to succeed all the same.
CELLS = [Cell(fault, fault.on[index % len(fault.on)]) for index, fault in enumerate(FAULTS) if fault.is_noticed]
CELLS += [Cell(fault, dependency) for fault in FAULTS if not fault.is_noticed for dependency in fault.on]
OF_ALERTS = [cell for cell in CELLS if cell.fault.alerts]
WIDE = Bounds(ready=3, health=5, unaffected=1, threads=16, sessions=2)
PROCESSES = 10


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with running(gates=True) as system:
        yield system


@pytest.fixture(scope="module")
def alerting_system() -> Iterator[System]:
    with running(alerts=True) as system:
        yield system


@pytest.mark.parametrize("cell", [cell for cell in CELLS if not cell.fault.alerts], ids=str)
def test_cell__keeps_its_bounds(cell: Cell, system: System) -> None:
    if cell.fault.names and system.project.names is None:
        pytest.skip("needs Linux and root")
    assert measure(system, cell, WIDE, rounds=1).broken == []


@pytest.mark.parametrize("cell", OF_ALERTS, ids=str)
def test_cell_of_alerts__keeps_its_bounds(cell: Cell, alerting_system: System) -> None:
    assert measure(alerting_system, cell, WIDE, rounds=1).broken == []


def test_processes__forked_under_load_and_ending_with_a_hung_callable() -> None:
    assert forks.forked(PROCESSES) == forks.exited(PROCESSES) == {"well": PROCESSES}
