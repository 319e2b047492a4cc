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
    paths = [
        "/alive/",
        "/ready/",
        "/startup/",
        "/health/",
        *(f"/health/{name}/" for name in [*built.engine.names, "nil"]),
    ]
    headers = [{}, {"authorization": f"Bearer {built.conf.tokens[0]}"}]
    for path, accept, header in itertools.product(paths, ACCEPT, headers):
        response = Client().get(path, headers={"accept": accept, "host": "localhost", **header})
        yield f"{path} {accept} {sorted(header)}", f"{response.serialize_headers()!r} {response.content.decode()}"
    for arguments in (["health_check"], ["health_check", "--format", "json"], ["check"]):
        yield " ".join(arguments), _command(call_command, *arguments)
    yield "repr", repr([built, read(), discover(read()), built.engine])
    register_all_checks()
    manager = HealthCheckManager()
    for check in OWN:
        manager.register_check(check.__name__, check)
    for each in (manager, global_health_manager):
        yield type(each).__name__, repr([each.run_all_checks(), each.run_all_checks(parallel=False), each.checks])


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
