"""How soon `/ready` of the probe server answers as many connections as it allows, while others are refused.

A process of its own serves, with the limit of 1,024 descriptors that most systems have: it allows a quarter of it.
"""

from __future__ import annotations

import re
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from benches.probes import wait_for
from benches.scale.checks import raise_limit
from tests.services import free_port

DESCRIPTORS = 1_024
ALLOWED = DESCRIPTORS // 4
REFUSED = 1_000
# Not one of the allowed that sends requests may be closed in favour of another.
SPARE = 16


@contextmanager
def served() -> Iterator[int]:
    """The port of a probe server with one check that needs nothing."""
    port = free_port()
    command = [sys.executable, "-m", __name__, str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        wait_for(f"http://127.0.0.1:{port}/ready")
        yield port
    finally:
        process.communicate(b"", timeout=20)


@contextmanager
def refused(port: int) -> Iterator[None]:
    """So many connections that send nothing, each opened again a while after it was closed by the server."""
    raise_limit()
    ended = threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            held: list[socket.socket] = []
            while not ended.is_set():
                if len(held) == REFUSED:
                    for connection in held:
                        connection.close()
                    held.clear()
                with suppress(OSError):
                    held.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), 1)))
                ended.wait(0.001)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(10)


def p99(port: int, seconds: int) -> float:
    """In milliseconds, of requests one after the other on each of the connections."""
    command = ["wrk", "--latency", "-t1", f"-c{ALLOWED - SPARE}", f"-d{seconds}s", f"http://127.0.0.1:{port}/ready"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output, output
    amount, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", output)[0]
    return float(amount) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def main(port: int) -> None:
    import lifesigns

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, most))
    engine = lifesigns.Engine()
    engine.register("nothing", {"kind": "skipped", "reason": "nothing to do"})
    lifesigns.serve(f"127.0.0.1:{port}", engine)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]))
