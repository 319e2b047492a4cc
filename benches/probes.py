"""Times `/alive` of the probe server against an empty Django view, both under the same gunicorn with 2 workers, and
against what a proxy written in C takes for an answer as long that it has ready (HAProxy on 2 threads).

`python -m benches.probes` prints the numbers; `make bench` has them, too. `wrk` (Debian package) makes the requests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benches.comparison.verdict import Number
from tests.services import free_port

CONNECTIONS = 16
# What both workers do for so long meanwhile.
BUSY_SECONDS = 10
OCCUPIED = {
    "sleeping": "both workers busy",
    "spinning": "Python spins on 8 threads of each",
    "holding": "C code holds the GIL",
}

# A project with an empty view, one that does what the query says, and a probe server in each worker.
PROJECT = """
import ctypes, os, threading, time
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
import lifesigns

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=[])

def empty(request):
    return HttpResponse("")

def spin(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass

def busy(request):
    how, seconds = request.GET["how"], float(request.GET["seconds"])
    if how == "sleeping":
        time.sleep(seconds)
    elif how == "spinning":
        threads = [threading.Thread(target=spin, args=(seconds,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        ctypes.PyDLL(None).sleep(int(seconds))
    return HttpResponse(str(os.getpid()))

urlpatterns = [path("empty", empty), path("busy", busy)]
application = get_wsgi_application()
engine = lifesigns.Engine()
engine.register("nothing", {"kind": "skipped", "reason": "nothing to do"})
lifesigns.serve(os.environ["PROBES"], engine)
"""


# An answer as long as that of `/alive`, and with as many headers.
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "vary": "Accept",
    "date": '"Thu, 01 Jan 2026 00:00:00 GMT"',
}
PROXY = """
global
  nbthread 2
defaults
  mode http
  timeout client 60s
  timeout connect 5s
  timeout server 60s
frontend fixed
  bind 127.0.0.1:{port}
  http-request return status 200 content-type application/json {headers} string '{body}'
"""
BODY = (
    '{"status":"alive","timestamp":"2026-01-01T00:00:00.000000Z","message":"Service is alive","uptime_seconds":12.345}'
)


class Load(NamedTuple):
    """Requests per second, and the 99th percentile of their latency in milliseconds."""

    per_second: float
    p99: float


@dataclass(frozen=True)
class Probed:
    """Each turn with an empty view, `/alive` and the proxy, and `/alive` while the workers do something else."""

    empty: list[Load]
    alive: list[Load]
    proxy: list[Load]
    occupied: dict[str, Load]

    def numbers(self) -> list[Number]:
        """What is promised of them."""
        alive, empty, proxy = ([load.per_second for load in turns] for turns in (self.alive, self.empty, self.proxy))
        p99 = median(load.p99 for load in self.alive)
        what = "`/alive` of the probe server"
        return [
            Number.ratio(
                alive,
                empty,
                turns=len(alive),
                key="alive_over_empty",
                what=f"{what} / an empty Django view, gunicorn",
                bound=20.0,
                more_is_better=True,
            ),
            Number.ratio(
                proxy,
                empty,
                turns=len(proxy),
                key="proxy_over_empty",
                what="HAProxy, an answer as long that it has ready / an empty Django view, gunicorn",
                more_is_better=True,
            ),
            Number(key="alive_p99", what=f"{what}, p99", value=p99, unit="ms", bound=5),
            *(
                Number(
                    key=f"alive_p99_{how}", what=f"{what}, p99, {OCCUPIED[how]}", value=load.p99, unit="ms", bound=20
                )
                for how, load in self.occupied.items()
            ),
        ]


def wrk(url: str, seconds: int) -> Load:
    command = ["wrk", "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", output)[0])
    amount, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", output)[0]
    assert "Non-2xx" not in output, output
    return Load(rate, float(amount) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit])


@contextmanager
def haproxy(port: int) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as directory:
        configuration = Path(directory, "haproxy.cfg")
        headers = " ".join(f"hdr {name} {value}" for name, value in HEADERS.items())
        configuration.write_text(PROXY.format(port=port, headers=headers, body=BODY))
        process = subprocess.Popen(["haproxy", "-f", configuration])
        try:
            wait_for(f"http://127.0.0.1:{port}/")
            yield
        finally:
            process.terminate()
            process.wait()


@contextmanager
def gunicorn(django: int, probes: int) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "project.py").write_text(PROJECT)
        command = [sys.executable, "-m", "gunicorn", "-w2", f"-b127.0.0.1:{django}", "-t0", "project:application"]
        process = subprocess.Popen(
            [*command, "--log-level", "error"],
            cwd=directory,
            env={**os.environ, "PROBES": f"127.0.0.1:{probes}"},
        )
        try:
            for url in (f"http://127.0.0.1:{django}/empty", f"http://127.0.0.1:{probes}/alive"):
                wait_for(url)
            yield
        finally:
            process.terminate()
            process.wait()


def wait_for(url: str) -> None:
    for _ in range(200):
        with suppress(OSError):
            urllib.request.urlopen(url, timeout=5).close()
            return
        time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


@contextmanager
def occupied(django: int, how: str) -> Iterator[None]:
    """Both workers do that, for longer than the measurement takes."""
    url = f"http://127.0.0.1:{django}/busy?how={how}&seconds={BUSY_SECONDS}"
    requests = [subprocess.Popen(["curl", "-s", "-o", "/dev/null", url]) for _ in range(2)]
    time.sleep(1)
    yield
    for request in requests:
        request.wait()


def probed(turns: int = 9, seconds: int = 3, occupations: Iterable[str] = OCCUPIED) -> Probed:
    """`turns` of so many seconds with each: how two processes share 16 connections makes one differ from the next."""
    django, probes, proxy = free_port(), free_port(), free_port()
    empty, alive = f"http://127.0.0.1:{django}/empty", f"http://127.0.0.1:{probes}/alive"
    found = Probed([], [], [], {})
    with gunicorn(django, probes), haproxy(proxy):
        for _ in range(turns):
            found.empty.append(wrk(empty, seconds))
            found.alive.append(wrk(alive, seconds))
            found.proxy.append(wrk(f"http://127.0.0.1:{proxy}/", seconds))
        for how in occupations:
            with occupied(django, how):
                found.occupied[how] = wrk(alive, seconds)
    return found


def main() -> int:
    found = probed()
    for what, loads in (("an empty Django view", found.empty), ("/alive", found.alive), ("HAProxy", found.proxy)):
        print(f"{what}: {', '.join(f'{load.per_second:,.0f}' for load in loads)} requests/s")
    numbers = found.numbers()
    for number in numbers:
        print(f"{number.what}: {number.value:.3g} {number.unit}, {'kept' if number.kept else 'missed'}")
    return 0 if all(number.kept for number in numbers) else 1


if __name__ == "__main__":
    sys.exit(main())
