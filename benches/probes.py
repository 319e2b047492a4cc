"""Times `/alive` of the probe server against an empty Django view, both under the same gunicorn with 2 workers.

Takes `wrk` (Debian package) to make the requests. Ratios are what carries over to another machine.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CONNECTIONS = 16
SECONDS = 5
# How long the workers are kept from answering.
BUSY_SECONDS = 10

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


def wrk(url: str, seconds: int = SECONDS) -> tuple[float, float]:
    """Requests per second, and the 99th percentile of their latency in milliseconds."""
    command = ["wrk", "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", output)[0])
    amount, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", output)[0]
    assert "Non-2xx" not in output, output
    return rate, float(amount) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


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


def main() -> int:
    if shutil.which("wrk") is None:
        print("wrk is not installed: apt-get install wrk")
        return 0
    django, probes = 18_471, 18_472
    broken = []
    with gunicorn(django, probes):
        alive = f"http://127.0.0.1:{probes}/alive"
        empty_rate, empty_p99 = wrk(f"http://127.0.0.1:{django}/empty")
        rate, p99 = wrk(alive)
        print(f"empty Django view      {empty_rate:>9.0f} requests/s   p99 {empty_p99:>7.2f} ms")
        print(f"/alive                 {rate:>9.0f} requests/s   p99 {p99:>7.2f} ms   {rate / empty_rate:.1f} x")
        if rate < 20 * empty_rate or p99 > 5:
            broken.append("/alive")
        for how, what in (
            ("sleeping", "workers busy"),
            ("spinning", "Python spins on 8 threads each"),
            ("holding", "C code holds the GIL"),
        ):
            with occupied(django, how):
                rate, p99 = wrk(alive)
            print(f"/alive, {what:<31}{rate:>9.0f} requests/s   p99 {p99:>7.2f} ms")
            if p99 > 20:
                broken.append(f"/alive while {what}")
    print(json.dumps({"missed": broken}))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
