"""200 processes forked under load, and 200 that end with a hung callable: none hangs, none aborts. `make forks`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

TIMES = 200
AT_ONCE = 4
GIVE_UP_AFTER = 60.0

FORKED = """
import os, signal, sys, threading, time, warnings
import lifesigns
warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of any fork beside threads
engine = lifesigns.Engine()
engine.register("native", {"kind": "disk", "paths": ["/"], "thresholds": {"degraded_above": 100, "error_above": 100}})
engine.register("callable", lambda: str(os.getpid()))
engine.register("hung", lambda: time.sleep(600), timeout=0.05, critical=False)
stop = threading.Event()

def load():
    while not stop.is_set():
        engine.run(refresh=True)

threads = [threading.Thread(target=load) for _ in range(3)]
for thread in threads:
    thread.start()
time.sleep(0.2)
codes = []
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        code = 1
        try:
            report = engine.run(refresh=True)
            own = report["checks"]["callable"]["message"] == str(os.getpid())
            code = 0 if own and report["status"] == "degraded" else 2
        finally:
            os._exit(code)
    codes.append(os.waitpid(pid, 0)[1])
stop.set()
for thread in threads:
    thread.join()
print(*codes)
"""

HUNG = """
import time
import lifesigns
engine = lifesigns.Engine(log=False)  # standard error is for what went wrong at the end
engine.register("hung", lambda: time.sleep(600), timeout=0.05)
engine.register("well", lambda: None)
assert engine.run()["checks"]["hung"]["error_type"] == "TimeoutError"
"""


def forked(times: int = TIMES) -> Counter[str]:
    """How many children of a process under load ended how."""
    command = [sys.executable, "-c", FORKED, str(times)]
    # A child that hangs ends itself by SIGALRM, after 10 s.
    ended = subprocess.run(command, capture_output=True, text=True, timeout=GIVE_UP_AFTER + 10 * times)
    if ended.returncode != 0:
        return Counter([f"the parent ended with {ended.returncode}: {ended.stderr[-500:]}"])
    return Counter("well" if code == "0" else f"wait status {code}" for code in ended.stdout.split())


def exited(times: int = TIMES) -> Counter[str]:
    """How many processes with a hung callable ended how."""

    def one(_: int) -> str:
        try:
            ended = subprocess.run([sys.executable, "-c", HUNG], capture_output=True, text=True, timeout=GIVE_UP_AFTER)
        except subprocess.TimeoutExpired:
            return "hung"
        return "well" if (ended.returncode, ended.stderr) == (0, "") else f"code {ended.returncode}: {ended.stderr}"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(one, range(times)))


def main() -> int:
    well = True
    for what, run in (("forked under load", forked), ("exits with a hung callable", exited)):
        started = time.monotonic()
        ended = run()
        print(f"{TIMES} processes {what}: {dict(ended)} in {time.monotonic() - started:.0f} s", flush=True)
        well &= ended == {"well": TIMES}
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
