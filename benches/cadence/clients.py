"""Who probes a pod: kubelet, a load balancer and Prometheus, each at its pace, with a connection for each request."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

TOKEN = "of-the-benchmark-alone"
TIMEOUT_SECONDS = 10


class Probe(NamedTuple):
    """A request that is repeated every so many seconds; what Prometheus reads needs the token."""

    page: str
    seconds: float
    authorized: bool = False


KUBELET = (Probe("ready", 2), Probe("alive", 10))
BALANCER = (Probe("ready", 1),)
PROMETHEUS = (Probe("metrics", 15, authorized=True),)


class Failures(dict[str, int]):
    """How many answers to each page were no 200."""


@contextmanager
def probing(port: int, pages: Mapping[str, str]) -> Iterator[Failures]:
    """All three probe that port of loopback meanwhile; `pages` are the paths by their names."""
    ended, failures = threading.Event(), Failures()

    def repeat(probe: Probe) -> None:
        due = time.monotonic()
        while not ended.wait(max(0.0, due - time.monotonic())):
            if not answers(port, pages[probe.page], authorized=probe.authorized):
                failures[probe.page] = failures.get(probe.page, 0) + 1
            due += probe.seconds

    probes = (*KUBELET, *BALANCER, *PROMETHEUS)
    threads = [threading.Thread(target=repeat, args=(probe,), daemon=True) for probe in probes]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        ended.set()
        for thread in threads:
            thread.join(TIMEOUT_SECONDS)


def answers(port: int, path: str, *, authorized: bool = False) -> bool:
    """Whether the page is answered with 200."""
    headers = {"Authorization": f"Bearer {TOKEN}"} if authorized else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={**headers, "Connection": "close"})
        response = connection.getresponse()
        response.read()
        return response.status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
