"""Alerts in real processes: the database is gone, the store is lost, and commands come from elsewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from django_lifesigns.targets.catalogue import CATALOGUE
from tests.alerts.receiver import Receiver
from tests.django.projects import environment, migrate, run, run_json, sqlite
from tests.django.serving import GUNICORN, send_request, serving
from tests.services import Postgres, wait_until

ROWS = """
import json
from django_lifesigns.models import Delivery, Incident, Silence
print(json.dumps({
    "incidents": list(Incident.objects.order_by("since").values_list("check_name", "state", "acknowledged_by")),
    "deliveries": sorted(Delivery.objects.values_list("incident__check_name", "kind", "state", "last_answer")),
    "silences": list(Silence.objects.values_list("checks", "author")),
}))
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def alerts(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"APPLICATION": "shop", "CHANNELS": {"hook": receiver.channel}, "FAILURES": 2, "SUCCESSES": 1, **more}


def project(folder: Path, receiver: Receiver, *, database: Any = None, keep: Any = (), **lifesigns: Any) -> Any:
    """A project with one check of its own, `flag`, and of the 22 those that are kept."""
    flag = {"check": "tests.django.alerting.flag", "arguments": {"path": str(folder / "flag")}, "critical": False}
    return {
        "DATABASES": {"default": database} if database else sqlite(folder),
        "LIFESIGNS": {
            "DISABLED": sorted(CATALOGUE.keys() - set(keep)),
            "CHECKS": {"flag": {**flag, "ttl": 0.5}},
            "DEFAULT_TTL": 1,
            "READY_MAX_AGE": 1,
            "ALERTS": alerts(receiver),
            **lifesigns,
        },
    }


class Worker:
    """A process that alerts, and what its engine knows."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.known: dict[str, Any] = {"incidents": {}, "silences": []}
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "tests.django.alerting"],
            env=environment(folder, settings),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.thread = threading.Thread(target=self._read)
        self.thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.known = json.loads(line)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.thread.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def state(self, check: str = "flag") -> Any:
        found = self.known["incidents"].get(check)
        return found and found[1:]


def command(folder: Path, settings: dict[str, Any], *arguments: str) -> str:
    done = run(folder, settings, "-W", "ignore", "-m", "django", "health_alert", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.services
def test_database_that_is_gone_alerts_and_the_tables_have_the_story_later(tmp_path: Path, receiver: Receiver) -> None:
    check = "database_connectivity"
    with Postgres() as server:
        database = server.database(engine="django.db.backends.postgresql")
        settings = project(tmp_path, receiver, database=database, keep=[check], DEFAULT_TIMEOUT=2)
        with serving((*GUNICORN, "--workers", "2"), tmp_path, settings) as served:
            wait_until(lambda: _is_ready(served.port), 60, served.log())
            server.kill()
            wait_until(lambda: "triggered" in receiver.of(check), 60, served.log())
            server.start()
            wait_until(lambda: "resolved" in receiver.of(check), 60, served.log())
            wait_until(
                lambda: [check, "resolved", ""] in run_json(tmp_path, settings, ROWS)["incidents"], 60, served.log()
            )
            rows = run_json(tmp_path, settings, ROWS)
            assert [check, "triggered", "delivered", "202"] in rows["deliveries"]
            assert [check, "resolved", "delivered", "202"] in rows["deliveries"]
        assert served.log().count("incidents: cannot be written") <= 2, "once for each worker"
        assert receiver.of(check) == ["triggered", "resolved"]


def _is_ready(port: int) -> bool:
    try:
        return send_request(port, "/ready/", host="localhost")[0] == 200
    except OSError:
        return False


HOLDING = """
import ctypes
from django.http import HttpResponse
from django.urls import path
from demo.urls import urlpatterns as demo

def hold(request):
    ctypes.PyDLL(None).sleep(12)  # which keeps the GIL
    return HttpResponse("over")

urlpatterns = [path("hold/", hold), *demo]
"""


@pytest.mark.services
def test_workers_that_are_all_stuck_in_c_code_are_alerted_by_themselves(tmp_path: Path, receiver: Receiver) -> None:
    (tmp_path / "holding.py").write_text(HOLDING)
    settings = {**project(tmp_path, receiver, WEDGED_AFTER=2), "ROOT_URLCONF": "holding"}
    migrate(tmp_path, settings)
    with serving((*GUNICORN, "--workers", "2"), tmp_path, settings) as served:
        wait_until(lambda: _is_ready(served.port), 60, served.log())
        # More than there are workers: each of them has one, and none answers anything else.
        with ThreadPoolExecutor(4) as requests:
            held = [requests.submit(_hold, served.port) for _ in range(4)]
            wait_until(lambda: receiver.is_open("wedged_worker"), 60, served.log())
            found = [body["data"] for body in receiver.bodies if body["data"]["check"] == "wedged_worker"]
            assert found[0]["message"].endswith("for 2 s")
            assert found[0]["instances"]["failing"] >= 1
            assert not any(one.done() for one in held)
        wait_until(lambda: not receiver.is_open("wedged_worker"), 60, served.log())


def _hold(port: int) -> None:
    with suppress(OSError):  # it waits for longer than the client
        send_request(port, "/hold/", host="localhost")


def test_command_reaches_the_workers_of_the_host_by_their_store(tmp_path: Path, receiver: Receiver) -> None:
    settings = project(tmp_path, receiver)
    migrate(tmp_path, settings)
    (tmp_path / "flag").touch()
    with Worker(tmp_path, settings) as worker:
        wait_until(lambda: receiver.of("flag") == ["triggered"], 60)
        wait_until(lambda: worker.state() == ["firing", None], 60)
        assert "flag" in command(tmp_path, settings, "list")
        command(tmp_path, settings, "acknowledge", "flag", "--author", "ann", "--comment", "on it")
        wait_until(lambda: worker.state() == ["acknowledged", "ann"], 60)
        wait_until(lambda: receiver.of("flag") == ["triggered", "acknowledged"], 60)
        added = json.loads(command(tmp_path, settings, "silence", "--check", "fl*", "--hours", "2", "--format", "json"))
        wait_until(lambda: worker.known["silences"] == [added["id"]], 60)
        shown = json.loads(command(tmp_path, settings, "list", "--format", "json"))
        assert [found["check"] for found in shown["incidents"]] == ["flag"]
        assert [found["id"] for found in shown["silences"]] == [added["id"]]
        command(tmp_path, settings, "silence", "--end", added["id"])
        wait_until(lambda: worker.known["silences"] == [], 60)
        (tmp_path / "flag").unlink()
        wait_until(lambda: receiver.of("flag") == ["triggered", "acknowledged", "resolved"], 60)
        wait_until(lambda: run_json(tmp_path, settings, ROWS)["incidents"] == [["flag", "resolved", "ann"]], 60)
    assert run_json(tmp_path, settings, ROWS)["silences"] == [["fl*", _user()]]


def _user() -> str:
    import getpass

    return getpass.getuser()


def test_command_reaches_processes_that_share_no_store_by_the_tables(tmp_path: Path, receiver: Receiver) -> None:
    settings = project(tmp_path, receiver, SHARE="process")
    migrate(tmp_path, settings)
    (tmp_path / "flag").touch()
    with Worker(tmp_path, settings) as worker:
        wait_until(lambda: receiver.of("flag") == ["triggered"], 60)
        wait_until(lambda: run_json(tmp_path, settings, ROWS)["incidents"] != [], 60)
        command(tmp_path, settings, "acknowledge", "flag", "--author", "ann")
        command(tmp_path, settings, "silence", "--check", "flag", "--author", "ann")
        wait_until(lambda: worker.state() == ["acknowledged", "ann"], 60)
        wait_until(lambda: len(worker.known["silences"]) == 1, 60)
        wait_until(lambda: "acknowledged" in receiver.of("flag"), 60)


def test_store_that_is_lost_is_restored_and_nothing_fires_twice(tmp_path: Path, receiver: Receiver) -> None:
    # So many that the tables are read before they are reached again, however busy the machine is.
    settings = project(tmp_path, receiver, ALERTS=alerts(receiver, FAILURES=10))
    migrate(tmp_path, settings)
    (tmp_path / "flag").touch()
    with Worker(tmp_path, settings) as worker:
        wait_until(lambda: receiver.of("flag") == ["triggered"], 60)
        added = json.loads(command(tmp_path, settings, "silence", "--check", "other_*", "--format", "json"))
        rows: list[Any] = []

        def is_written() -> bool:
            rows[:] = [run_json(tmp_path, settings, ROWS)]
            return bool(rows[0]["silences"] and any(one[2] == "delivered" for one in rows[0]["deliveries"]))

        wait_until(is_written, 60)
        identifier = worker.known["incidents"]["flag"][0]
    shutil.rmtree(tmp_path / "store")
    with Worker(tmp_path, settings) as worker:
        wait_until(lambda: worker.known["incidents"].get("flag", [None])[0] == identifier, 60)
        wait_until(lambda: worker.known["silences"] == [added["id"]], 60)
        (tmp_path / "flag").unlink()
        wait_until(lambda: receiver.of("flag") == ["triggered", "resolved"], 60)
        wait_until(lambda: run_json(tmp_path, settings, ROWS)["incidents"] == [["flag", "resolved", ""]], 60)
    assert {body["data"]["incident_id"] for body in receiver.bodies} == {identifier}


BURNING = """
import time
from django_lifesigns.history.rollups.periods import PERIODS
from django_lifesigns.models import Rollup
at = time.time() - 120
bad = {"check_name": "flag", "until": at, "healthy": 1_950.0, "error": 50.0, "error_stretches": 3}
Rollup.objects.bulk_create(Rollup(period=each.name, start=each.start(at), **bad) for each in PERIODS)
print("{}")
"""


def test_budget_that_burns_is_an_incident_of_its_own(tmp_path: Path, receiver: Receiver) -> None:
    settings = project(tmp_path, receiver, BACKGROUND=True, OBJECTIVES={"flag": {"target": 99.9}})
    migrate(tmp_path, settings)
    run_json(tmp_path, settings, BURNING)
    with Worker(tmp_path, settings) as worker:
        wait_until(lambda: receiver.of("objective:flag") == ["triggered"], 60)
        [body] = [body for body in receiver.bodies if body["data"]["check"] == "objective:flag"]
        assert body["data"]["dedup_key"] == "lifesigns/shop/objective:flag"
        assert body["data"]["severity"] == "critical"
        assert "of the budget of 43 min" in body["data"]["message"]
        wait_until(lambda: worker.state("objective:flag") == ["firing", None], 60)
        assert "objective:flag" in command(tmp_path, settings, "list")
        command(tmp_path, settings, "acknowledge", "objective:flag", "--author", "ann")
        wait_until(lambda: receiver.of("objective:flag") == ["triggered", "acknowledged"], 60)
        expected = ["objective:flag", "acknowledged", "ann"]
        wait_until(lambda: run_json(tmp_path, settings, ROWS)["incidents"] == [expected], 60)
    assert receiver.of("flag") == []


def test_end_of_a_process_writes_what_waits(tmp_path: Path, receiver: Receiver) -> None:
    settings = project(tmp_path, receiver, SHARE="process")
    migrate(tmp_path, settings)
    (tmp_path / "flag").touch()
    with Worker(tmp_path, settings) as worker:
        wait_until(lambda: receiver.of("flag") == ["triggered"], 60)
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        assert worker.process.wait(60) == 0
    assert [row[0] for row in run_json(tmp_path, settings, ROWS)["incidents"]] == ["flag"]
