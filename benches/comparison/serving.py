"""Requests per second of each contender behind gunicorn (2 workers) and uvicorn, fresh and from its cache."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from benches.comparison.ground import APPS, PROJECT_APPS, Ground
from benches.probes import wait_for, wrk
from tests.services import free_port
from tests.services.processes import kill

SERVERS = {
    "gunicorn": ("gunicorn", "demo.wsgi", "-w2", "-b127.0.0.1:{port}", "--no-control-socket", "--log-level=error"),
    "uvicorn": ("uvicorn", "demo.asgi:application", "--port={port}", "--no-access-log", "--log-level=error"),
}
# django-health-check has no cache: its documentation has its answers marked as never to be cached.
PAGES = {
    "Lifesigns, 22 checks, fresh": "health/?refresh=1",
    "django-health-check 4.8, 6 checks, fresh": "peer/?format=json",
    "plain Python, 22 checks, fresh": "plain/",
    "Lifesigns, 22 checks, cached": "health/",
    "plain Python, 22 checks, kept for 30 s": "plain/kept/",
}
READY, ALIVE, EMPTY = "Lifesigns, `/ready/`, cached", "Lifesigns, `/alive/`", "an empty Django view"
BODY = "an empty Django view with a body as long as that of `/ready/`"
TURNS = {READY: "ready/", ALIVE: "alive/", EMPTY: "empty/", BODY: "body/"}


class Size(NamedTuple):
    """Seconds of load on each page; `turns` of the probes against the empty views."""

    seconds: int
    turns: int
    servers: tuple[str, ...] = tuple(SERVERS)


@dataclass(frozen=True)
class Rate:
    """Requests per second in each turn, and the 99th percentile of their latency in ms."""

    per_second: list[float]
    p99: list[float]

    @property
    def median(self) -> float:
        return median(self.per_second)


Rates = dict[str, dict[str, Rate]]


@contextmanager
def serving(ground: Ground, server: str) -> Iterator[str]:
    """The URL at which the project with all contenders is served."""
    settings = ground.settings()
    settings["ROOT_URLCONF"] = "benches.comparison.urls"
    settings["INSTALLED_APPS"] = [*PROJECT_APPS, *APPS["lifesigns"], *APPS["django_health_check"]]
    port = free_port()
    command = [sys.executable, "-m", *(word.format(port=port) for word in SERVERS[server])]
    process = subprocess.Popen(command, env=ground.environment(settings))
    try:
        wait_for(f"http://127.0.0.1:{port}/empty/")
        yield f"http://127.0.0.1:{port}/"
    finally:
        kill(process.pid)
        process.wait()


def rates(ground: Ground, size: Size) -> Rates:
    """By server, then by request."""
    found: Rates = {}
    for server in size.servers:
        with serving(ground, server) as url:
            measured = {what: Rate([], []) for what in (*PAGES, *TURNS)}
            for what, page in [*PAGES.items(), *(list(TURNS.items()) * size.turns)]:
                wait_for(url + page)
                per_second, p99 = wrk(url + page, size.seconds)
                measured[what].per_second.append(per_second)
                measured[what].p99.append(p99)
        found[server] = measured
    return found
