"""The figures of `make fleet`, with fewer hosts and bounds that hold on a busy machine."""

from __future__ import annotations

import pytest

from tests.fleet.many_incidents import measure_incident
from tests.fleet.scale import Scale, measure, measure_view
from tests.process.host import where_shared


# It waits for runs that are seconds apart, on one host after the other.
@pytest.mark.timeout(900)
@where_shared
def test_hosts_run_a_check_about_as_often_as_one_and_late_results_are_ignored() -> None:
    figures = measure(Scale(hosts=4, processes=2, ttl=8.0, seconds=40.0, faults=1))
    assert figures["runs_ratio"] <= 1.4, figures
    assert figures["commands_per_instance_and_minute"] <= 45, figures
    assert figures["late_results"] == 0, figures
    assert figures["longest_gap_in_ttls"] <= 5, figures


@pytest.mark.timeout(900)
@where_shared
def test_many_hosts_have_one_incident_one_trigger_one_resolve() -> None:
    figures = measure_incident(6, quiet_seconds=3)
    once = {"incident_triggers": 1, "incident_resolves": 1, "incident_ids": 1, "incident_violations": 0}
    assert figures.items() >= once.items(), figures
    assert figures["incident_holder_replaced_after"] <= 40, figures


@where_shared
def test_view_of_a_thousand_instances_is_read_at_once() -> None:
    assert measure_view() < 3_000
