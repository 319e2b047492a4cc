"""No fault reaches another check, with bounds wide enough for a busy machine; `make faults` measures to the letter."""

from __future__ import annotations

import pytest

from tests.faults.isolation import FAULTS, Isolation, measure

# Starts servers: not for the interpreters of the test matrix.
pytestmark = pytest.mark.services


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault__reaches_no_other_check(fault: Isolation) -> None:
    if not fault.possible():
        pytest.skip("needs Linux and root")
    assert measure(fault, rounds=4, near=500).broken == []
