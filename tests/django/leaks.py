"""A program: everything that a project can be made to show, as JSON, and the checks that would give secrets away."""

from __future__ import annotations

import http.client
import itertools
import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

from tests.django.indiscreet import OWN

COMMANDS: list[list[str]] = [
    ["health_check"],
    ["health_check", "--format", "json"],
    ["health_check", "openai_api", "--strict"],
    ["monitor_health_continuous", "--max-iterations", "1"],
    *(["generate_health_report", "--format", form] for form in ("text", "json", "html", "markdown", "csv")),
    ["health_breaker", "list"],
    ["health_breaker", "force-open", "openai_api"],
    ["health_breaker", "reset", "openai_api"],
    ["health_prune", "--dry-run"],
    *(["health_objectives", "--format", form] for form in ("text", "json")),
    ["health_rollup", "--backfill"],
    ["health_alert", "test"],
    ["health_alert", "test", "--format", "json"],
    ["health_alert", "acknowledge", "raises"],
    ["health_alert", "silence", "--check", "quotes"],
    ["health_alert", "list", "--all"],
    ["health_alert", "list", "--format", "json"],
    ["check", "--deploy"],
]
ACCEPT = ("application/json", "application/health+json", "text/plain", "text/html")


def outputs() -> Iterator[tuple[str, str]]:
    """What is shown, by where."""
    from django.core.management import call_command
    from django.test import Client

    from django_lifesigns.checks.kinds import is_record
    from django_lifesigns.health_checks import HealthCheckManager, global_health_manager, register_all_checks
    from django_lifesigns.runtime.engine import get_runtime
    from django_lifesigns.settings.conf import read
    from django_lifesigns.targets.discovery import discover

    built = get_runtime()
    events: list[Any] = []
    built.engine.subscribe(events.append)
    names = [*built.engine.names, "nil"]
    probes = (
        "health/detailed",
        "metrics",
        "alive",
        "ready",
        "startup",
        "health",
        *(f"health/{name}" for name in names),
    )
    headers = [{}, {"authorization": f"Bearer {built.conf.tokens[0]}"}]
    for path, accept, header in itertools.product((f"/{probe}/" for probe in probes), ACCEPT, headers):
        response = Client().get(path, headers={"accept": accept, "host": "localhost", **header})
        yield f"{path} {accept} {sorted(header)}", f"{response.serialize_headers()!r} {response.content.decode()}"
    yield from _served(built)
    yield from _alerted(built)
    for arguments in COMMANDS:
        yield " ".join(arguments), _command(call_command, *arguments)
    yield from _kept()
    found = discover(read())[0]
    specs = [[check.check, check.options] for check in found if is_record(check.check)]
    yield "repr", repr([built, read(), discover(read()), built.engine, specs, list(map(str, specs)), built.thresholds])
    yield "events", repr(events)
    register_all_checks()
    manager = HealthCheckManager()
    for check in OWN:
        manager.register_check(check.__name__, check)
    for each in (manager, global_health_manager):
        yield type(each).__name__, repr([each.run_all_checks(), each.run_all_checks(parallel=False), each.checks])


def _served(built: Any) -> Iterator[tuple[str, str]]:
    """What the native probe server and the metrics show."""
    import lifesigns
    from lifesigns.serving import metrics

    for openmetrics in (False, True):
        yield f"metrics {openmetrics}", metrics(built.engine, openmetrics)
    with lifesigns.serve("127.0.0.1:0", built.engine, tokens=built.conf.tokens) as server:
        paths = ("alive", "ready", "startup", "health", "metrics", *(f"health/{name}" for name in built.engine.names))
        token = {"authorization": f"Bearer {built.conf.tokens[0]}"}
        for path, headers in itertools.product(paths, ({}, token)):
            connection = http.client.HTTPConnection(server.address, timeout=20)
            connection.request("GET", f"/{path}", headers=headers)
            answer = connection.getresponse()
            where = f"served /{path} {sorted(headers)}"
            yield where, f"{answer.status} {answer.getheaders()} {answer.read().decode()}"
            connection.close()
        yield "server", repr(server)


def _alerted(built: Any) -> Iterator[tuple[str, str]]:
    """What is known of incidents once each channel was tried, and what of it is in the tables."""
    from django_lifesigns.alerts.mirror import IncidentMirror
    from django_lifesigns.models import Delivery, Incident

    if not built.channels:
        return
    built.engine.start_background()
    deadline = time.monotonic() + 20

    def untried() -> set[str]:
        tried = {
            delivery["channel"]
            for incident in built.engine.incidents()
            for delivery in incident["deliveries"]
            if delivery["last_answer"]
        }
        return set(built.channels) - tried

    while untried():
        assert time.monotonic() < deadline, untried()
        time.sleep(0.1)
    IncidentMirror(built.engine, built.alerts_as, is_shared=True).sync()
    yield "incidents", repr(built.engine.incidents())
    for model in (Incident, Delivery):
        yield model.__name__, repr(list(model._default_manager.values()))


def _kept() -> Iterator[tuple[str, str]]:
    """The history, as rows and as the admin shows it."""
    from django.contrib.auth.models import User
    from django.test import Client

    from django_lifesigns.history import recorder
    from django_lifesigns.models import HealthCheckLog, Incident, ServiceAvailability

    assert recorder.flush(10)
    for model in (HealthCheckLog, ServiceAvailability):
        yield model.__name__, repr(list(model.objects.values()))
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("someone"))
    names = ("healthchecklog", "serviceavailability", "alertthreshold", "incident", "delivery", "silence")
    pages = [f"{name}/" for name in names]
    pages += [f"healthchecklog/{row.pk}/change/" for row in HealthCheckLog.objects.filter(status="error")]
    pages += [f"incident/{pk}/change/" for pk in Incident.objects.values_list("pk", flat=True)]
    for page in pages:
        response = client.get(f"/admin/lifesigns/{page}")
        assert response.status_code == 200, page
        yield page, response.content.decode()


def _command(call_command: Callable[..., Any], *arguments: str) -> str:
    from django.core.management import CommandError

    out = StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=out)
    except SystemExit as end:
        out.write(f" exit {end.code}")
    except CommandError as error:
        out.write(str(error))
    return out.getvalue()


def main() -> None:
    """Print {where: what is shown}, the log among it."""
    import django

    log = StringIO()
    logging.basicConfig(stream=log, level=logging.INFO)
    for name in ("lifesigns", "django_lifesigns"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    os.environ["COLUMNS"] = "10000"  # no table breaks a secret in two
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    print(json.dumps({**dict(outputs()), "log": log.getvalue()}))


if __name__ == "__main__":
    main()
