"""Hosts that share a database and no store: one is cut off from it, and another takes its incident meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.alerts.receiver import Receiver
from tests.django.projects import migrate, run_json
from tests.django.test_alerts_processes import ROWS, Worker, project
from tests.services import Postgres, wait_until
from tests.services.proxy import Proxy

# What stands in the tables once its host has written nothing for eleven minutes.
ABANDONED = "UPDATE lifesigns_incident SET mirrored_at = mirrored_at - interval '11 minutes'"


@pytest.mark.services
def test_host_that_was_cut_off_takes_back_what_another_has_resolved(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    with Receiver() as receiver, Postgres() as server, Proxy(server.host, server.port) as proxy:
        database = server.database(engine="django.db.backends.postgresql")
        # Each process is a host of its own.
        one = project(here, receiver, database={**database, "PORT": proxy.port}, SHARE="process")
        other = project(there, receiver, database=database, SHARE="process")
        migrate(there, other)
        (here / "flag").touch()
        with Worker(here, one) as worker, Worker(there, other):
            wait_until(lambda: receiver.of("flag") == ["triggered"], 60)
            wait_until(lambda: run_json(there, other, ROWS)["incidents"] == [["flag", "firing", ""]], 60)
            proxy.drop()
            proxy.cut()
            server.sql(ABANDONED, str(database["NAME"]))
            wait_until(lambda: receiver.of("flag") == ["triggered", "resolved"], 60)
            assert worker.state() == ["firing", None]
            proxy.resume()
            wait_until(lambda: receiver.of("flag") == ["triggered", "resolved", "triggered"], 90)
            (here / "flag").unlink()
            wait_until(lambda: receiver.of("flag") == ["triggered", "resolved", "triggered", "resolved"], 60)
            wait_until(lambda: run_json(there, other, ROWS)["incidents"] == [["flag", "resolved", ""]], 60)
        assert receiver.violations == []
        assert len({body["data"]["incident_id"] for body in receiver.bodies}) == 1
