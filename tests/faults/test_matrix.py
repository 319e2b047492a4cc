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
WIDE = Bounds(ready=3, health=5, unaffected=1, threads=16)
PROCESSES = 10


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with running(gates=True) as system:
        yield system


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_cell__keeps_its_bounds(cell: Cell, system: System) -> None:
    if cell.fault.names and system.project.names is None:
        pytest.skip("needs Linux and root")
    assert measure(system, cell, WIDE, rounds=1).broken == []


def test_processes__forked_under_load_and_ending_with_a_hung_callable() -> None:
    assert forks.forked(PROCESSES) == forks.exited(PROCESSES) == {"well": PROCESSES}
