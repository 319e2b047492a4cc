"""The life of an incident whose tables a router keeps in a database of their own, and reads by another alias."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.alerts.receiver import Receiver
from tests.django.conftest import NewDatabase
from tests.django.projects import run, run_json
from tests.django.settings import INSTALLED_APPS, MIDDLEWARE, TEMPLATES
from tests.django.test_alerts_processes import Worker, command, project
from tests.services import wait_until
from tests.services.alert_services import AppriseReceiver, OpsgenieReceiver

ROUTER = """
class Router:
    def db_for_read(self, model, **hints):
        return "replica" if model._meta.app_label == "lifesigns" else None

    def db_for_write(self, model, **hints):
        return "ops" if model._meta.app_label == "lifesigns" else None

    def allow_relation(self, one, other, **hints):
        return True

    def allow_migrate(self, db, app_label, **hints):
        return (db == "ops") == (app_label == "lifesigns")
"""
ROWS = """
import json
from django_lifesigns.models import Delivery, Incident
rows = Incident.objects.using("ops")
print(json.dumps({
    "incidents": list(rows.values_list("check_name", "state", "acknowledged_by")),
    "deliveries": sorted(Delivery.objects.using("ops").values_list("channel", "kind", "state")),
}))
"""
PAGES = """
import json
from django.contrib.auth.models import User
from django.test import Client
from django_lifesigns.models import Incident
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.create_superuser("ann"))
pk = Incident.objects.using("ops").get().pk
pages = ["incident/", f"incident/{pk}/change/", "delivery/", "silence/"]
found = {page: client.get(f"/admin/lifesigns/{page}").status_code for page in pages}
chosen = {"action": "retry", "_selected_action": [pk]}
shown = client.post("/admin/lifesigns/incident/", chosen, follow=True).content.decode()
print(json.dumps({"pages": list(found.values()), "retried": "1 incident is retried." in shown}))
"""


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def routed(folder: Path, hook: Receiver, database: dict[str, Any], **channels: Any) -> dict[str, Any]:
    """A project whose tables of incidents are in `database`; a replica is that database by another alias.

    Neither is checked: on a busy machine it may be too slow to be healthy, which is an incident of its own.
    """
    (folder / "routing.py").write_text(ROUTER)
    settings: dict[str, Any] = project(folder, hook)
    settings["LIFESIGNS"]["DISABLED"] += ["database_ops", "database_replica"]
    settings["LIFESIGNS"]["ALERTS"]["CHANNELS"] |= channels
    settings["LIFESIGNS"]["ALERTS"]["RETRIES"] = [0.5]
    default = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "default.sqlite3")}
    databases = {"default": default, "ops": database, "replica": database}
    more = {"DATABASE_ROUTERS": ["routing.Router"], "DATABASES": databases, "ROOT_URLCONF": "tests.django.urls"}
    apps = {"INSTALLED_APPS": INSTALLED_APPS, "MIDDLEWARE": MIDDLEWARE, "TEMPLATES": TEMPLATES, "STATIC_URL": "static/"}
    return {**settings, **more, **apps}


def test_incident_lives_in_the_database_of_the_router(
    new_database: NewDatabase, tmp_path: Path, hook: Receiver
) -> None:
    with OpsgenieReceiver("key") as opsgenie, AppriseReceiver() as apprise:
        settings = routed(
            tmp_path,
            hook,
            new_database(),
            ops={"type": "opsgenie", "api_key": "wrong", "api_url": opsgenie.url},
            other={"type": "apprise", "url": f"json://127.0.0.1:{apprise.port}/"},
        )
        for database in ("default", "ops"):
            done = run(tmp_path, settings, "-m", "django", "migrate", "--database", database, "--verbosity", "0")
            assert done.returncode == 0, done.stderr
        (tmp_path / "flag").touch()
        with Worker(tmp_path, settings) as worker:
            wait_until(lambda: (hook.of("flag"), len(apprise.received)) == (["triggered"], 1), 60)
            fired = [["hook", "triggered", "delivered"], ["ops", "triggered", "refused"]]
            fired.append(["other", "triggered", "delivered"])
            wait_until(lambda: run_json(tmp_path, settings, ROWS)["deliveries"] == fired, 60)
            assert "flag" in command(tmp_path, settings, "list")
            command(tmp_path, settings, "acknowledge", "flag", "--author", "ann")
            wait_until(lambda: worker.state() == ["acknowledged", "ann"], 60)
            # As if the key were right from now on.
            opsgenie.api_key = "wrong"
            assert run_json(tmp_path, settings, PAGES) == {"pages": [200] * 4, "retried": True}
            alias = "lifesigns:shop:flag"
            wait_until(lambda: opsgenie.alerts.get(alias, {}).get("status") == "acknowledged", 60)
            (tmp_path / "flag").unlink()
            wait_until(lambda: hook.of("flag") == ["triggered", "acknowledged", "resolved"], 60)
            wait_until(lambda: (opsgenie.alerts, opsgenie.faults[1:]) == ({}, []), 60)
            expected = [["flag", "resolved", "ann"]]
            wait_until(lambda: run_json(tmp_path, settings, ROWS)["incidents"] == expected, 60)
        assert "RESOLVED: flag is healthy" in apprise.received[-1]
