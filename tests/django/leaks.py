"""A program: everything that a project can be made to show, as JSON, and the checks that would give secrets away."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

from django.conf import settings

ACCEPT = ("application/json", "application/health+json", "text/plain", "text/html")


class LeakyError(Exception):
    """An error of a client library, which quotes what it was given."""


def planted() -> str:
    """Every secret of the settings, in one text."""
    return str(vars(settings._wrapped)["PLANTED"])


def raises() -> None:
    """An exception with all of them."""
    raise LeakyError(planted())


async def raises_later() -> None:
    """The same from a coroutine."""
    try:
        raises()
    except LeakyError as error:
        raise RuntimeError(f"for {error}") from error


def quotes() -> dict[str, object]:
    """A message and details made from an exception, as is often done."""
    try:
        raises()
    except LeakyError as error:
        return {"status": "error", "message": str(error), "details": {"error": repr(error), str(error): [str(error)]}}
    return {}


def returns_nonsense() -> list[str]:
    """No result at all."""
    return [planted()]


def is_no_status() -> dict[str, str]:
    """A status that is none."""
    return {"status": planted(), "message": planted()}


def details_are_none() -> dict[str, str]:
    """Details that are none."""
    return {"status": "error", "details": planted()}


OWN = [raises, raises_later, quotes, returns_nonsense, is_no_status, details_are_none]


def outputs() -> Iterator[tuple[str, str]]:
    """What is shown, by where."""
    from django.core.management import call_command
    from django.test import Client

    from django_lifesigns.conf import read
    from django_lifesigns.discovery import discover
    from django_lifesigns.engine import current
    from django_lifesigns.health_checks import HealthCheckManager, global_health_manager, register_all_checks

    built = current()
    names = [*built.engine.names, "nil"]
    probes = ("health/detailed", "alive", "ready", "startup", "health", *(f"health/{name}" for name in names))
    paths = [f"/{probe}/" for probe in probes]
    headers = [{}, {"authorization": f"Bearer {built.conf.tokens[0]}"}]
    for path, accept, header in itertools.product(paths, ACCEPT, headers):
        response = Client().get(path, headers={"accept": accept, "host": "localhost", **header})
        yield f"{path} {accept} {sorted(header)}", f"{response.serialize_headers()!r} {response.content.decode()}"
    yield from _kept()
    for arguments in (["health_check"], ["health_check", "--format", "json"], ["check"]):
        yield " ".join(arguments), _command(call_command, *arguments)
    yield "repr", repr([built, read(), discover(read()), built.engine])
    register_all_checks()
    manager = HealthCheckManager()
    for check in OWN:
        manager.register_check(check.__name__, check)
    for each in (manager, global_health_manager):
        yield type(each).__name__, repr([each.run_all_checks(), each.run_all_checks(parallel=False), each.checks])


def _kept() -> Iterator[tuple[str, str]]:
    """The history, as rows and as the admin shows it."""
    from django.contrib.auth.models import User
    from django.test import Client

    from django_lifesigns import recorder
    from django_lifesigns.models import HealthCheckLog, ServiceAvailability

    assert recorder.flush(10)
    for model in (HealthCheckLog, ServiceAvailability):
        yield model.__name__, repr(list(model.objects.values()))
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("someone"))
    pages = [f"{name}/" for name in ("healthchecklog", "serviceavailability", "alertthreshold")]
    pages += [f"healthchecklog/{row.pk}/change/" for row in HealthCheckLog.objects.filter(status="error")]
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
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    print(json.dumps({**dict(outputs()), "log": log.getvalue()}))


if __name__ == "__main__":
    main()
