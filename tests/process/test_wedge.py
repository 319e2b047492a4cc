"""`/alive` distinguishes a wedged interpreter from a busy, idle or ending one; nothing of it can break an exit."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from lifesigns import Engine
from tests.loops import times
from tests.process.probes import Script, fetch
from tests.services import wait_until

SERVE = """
options = dict(wedged_after=1.5, show_details="always")
{before}
say(engine.serve("127.0.0.1:0", **options).address)
"""
WEDGE = "import ctypes; ctypes.PyDLL(None).sleep({seconds})"


def serving(script: str, before: str = "") -> Script:
    return Script(SERVE.format(before=before) + script)


def alive(address: str) -> tuple[int, dict[str, Any]]:
    answer = fetch(address, "/alive")
    return answer.code, answer.json()


def test_alive__is_503_while_c_code_keeps_the_interpreter() -> None:
    with serving(WEDGE.format(seconds=5) + "; input()") as process:
        address = process.line()
        started = time.monotonic()
        assert alive(address)[0] == 200
        wait_until(lambda: alive(address)[0] == 503)
        assert time.monotonic() - started > 1
        code, body = alive(address)
        assert (code, body["status"]) == (503, "wedged")
        assert [entry["pid"] for entry in body["wedged"]] == [process.process.pid]
        assert 1.5 <= body["wedged"][0]["seconds"] < 6
        assert re.search(r"has not run for \d s", body["message"])
        lag = re.search(rb'health_interpreter_lag_seconds{pid="(\d+)"} ([\d.]+)', fetch(address, "/metrics").body)
        assert lag is not None
        assert (int(lag[1]), float(lag[2]) > 1) == (process.process.pid, True)
        wait_until(lambda: alive(address)[0] == 200)
        process.finish()


def test_alive__wedge_is_noticed_as_soon_as_it_was_told_last() -> None:
    """With the pause of the longer time, which has begun by then, the wedge would be over first."""
    before = "lifesigns.Engine().start_background(); time.sleep(0.3)"
    with serving(WEDGE.format(seconds=4) + "; input()", before) as process:
        address = process.line()
        wait_until(lambda: alive(address)[0] == 503)
        wait_until(lambda: alive(address)[0] == 200)
        process.finish()


QUIET = {
    "idle in accept": "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.settimeout(4); s.accept()",
    "idle in input": "input()",
    "sleeping": "time.sleep(4)",
    "busy threads": """
end = time.monotonic() + 4
def spin():
    while time.monotonic() < end:
        pass
for _ in range(8):
    threading.Thread(target=spin).start()
spin()
""",
}


@pytest.mark.parametrize("name", QUIET)
def test_alive__process_that_releases_the_interpreter_is_not_wedged(name: str) -> None:
    with serving(QUIET[name]) as process:
        address = process.line()
        started = time.monotonic()
        while time.monotonic() - started < 3:
            assert alive(address)[0] == 200
            time.sleep(0.05)


def test_fork__child_is_monitored_by_itself() -> None:
    script = f"""
pid = os.fork()
if pid == 0:
    engine.run()
    options["wedged_after"] = 1.5
    say(engine.serve("127.0.0.1:0", **options).address)
    {WEDGE.format(seconds=60)}
time.sleep(60)
"""
    with serving(script) as process:
        parent = process.line()
        child = process.line()
        wait_until(lambda: alive(child)[0] == 503)
        (wedged,) = alive(child)[1]["wedged"]
        assert wedged["pid"] != process.process.pid
        # That address is served by both, and the child has one of its own, too.
        wait_until(lambda: alive(parent)[0] == 200)


SHARED = f"""
engine = lifesigns.Engine(share="host", store_path=sys.argv[1], application="shop")
options = dict(wedged_after=1.5, show_details="always", alive_requires=sys.argv[2])
if sys.argv[3]:
    say(engine.serve(sys.argv[3], **options).address)
else:
    engine.start_background()
    say("no server")
input()
{WEDGE.format(seconds=600)}
"""


def shared(store: Path, requires: str, address: str) -> Script:
    return Script(SHARED, str(store), requires, address)


def wedged_pids(address: str) -> set[int]:
    """The processes that are named in any of ten answers: any process may give one."""
    answers = [alive(address)[1] for _ in range(10)]
    return {entry["pid"] for answer in answers for entry in answer.get("wedged", ())}


def known_pids(address: str) -> set[int]:
    """Of one answer."""
    found = re.findall(rb'health_interpreter_lag_seconds{pid="(\d+)"}', fetch(address, "/metrics").body)
    assert len(found) == len(set(found))
    return {int(pid) for pid in found}


@contextmanager
def three_servers(store: Path, requires: str) -> Iterator[tuple[list[Script], list[int], str]]:
    """Three processes that serve one address and know each other."""
    with ExitStack() as stack:
        processes = [stack.enter_context(shared(store, requires, "127.0.0.1:0"))]
        address = processes[0].line()
        processes += [stack.enter_context(shared(store, requires, address)) for _ in range(2)]
        assert [process.line() for process in processes[1:]] == [address] * 2
        pids = [process.process.pid for process in processes]
        wait_until(lambda: all(known_pids(address) == set(pids) for _ in range(10)))
        yield processes, pids, address


def test_alive__all_required__one_wedged_server_is_503(tmp_path: Path) -> None:
    with three_servers(tmp_path, "all") as (processes, pids, address):
        processes[2].send_line()
        wait_until(lambda: wedged_pids(address) == {pids[2]})
        wait_until(lambda: all(alive(address)[0] == 503 for _ in range(10)))
        # One that has ended is not wedged.
        processes[2].process.kill()
        wait_until(lambda: all(alive(address)[0] == 200 for _ in range(10)))
        wait_until(lambda: all(pids[2] not in known_pids(address) for _ in range(10)))


def test_alive__any_required__all_wedged_servers_are_503(tmp_path: Path) -> None:
    with three_servers(tmp_path, "any") as (processes, pids, address):
        for process in processes[:2]:
            process.send_line()
        started = time.monotonic()
        while time.monotonic() - started < 4:
            assert alive(address)[0] == 200
            time.sleep(0.02)
        processes[2].send_line()
        wait_until(lambda: wedged_pids(address) == set(pids))
        # Nor does one count that is stopped, which sends no heartbeat.
        processes[2].stop()
        wait_until(lambda: wedged_pids(address) == set(pids[:2]))


def test_alive__process_that_serves_elsewhere_does_not_count(tmp_path: Path) -> None:
    """A Celery worker shares the store of a web server, and runs: the web server is wedged all the same."""
    with (
        shared(tmp_path, "any", "127.0.0.1:0") as web,
        shared(tmp_path, "any", "127.0.0.1:0") as other,
        shared(tmp_path, "any", "") as celery,
    ):
        address = web.line()
        assert (other.line() != address, celery.line()) == (True, "no server")
        pids = {process.process.pid for process in (web, other, celery)}
        wait_until(lambda: known_pids(address) == pids)
        web.send_line()
        wait_until(lambda: wedged_pids(address) == {web.process.pid})


IN_CONTAINER = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


@pytest.mark.skipif(
    subprocess.run([*IN_CONTAINER, "true"], capture_output=True, check=False).returncode != 0
    if shutil.which("unshare")
    else True,
    reason="takes the right to make a PID namespace",
)
def test_alive__process_of_another_container_does_not_count(tmp_path: Path) -> None:
    """Two containers share memory, and both have a process 1."""

    def contained(requires: str) -> Script:
        return Script(SHARED, str(tmp_path), requires, "127.0.0.1:0", prefix=IN_CONTAINER)

    with contained("all") as healthy, contained("any") as wedged, shared(tmp_path, "all", "127.0.0.1:0") as outside:
        addresses = [process.line() for process in (healthy, wedged, outside)]
        known = [{1}, {1}, {outside.process.pid}]
        # Each of them has sent and read heartbeats.
        wait_until(lambda: [known_pids(address) for address in addresses] == known)
        wedged.send_line()
        wait_until(lambda: alive(addresses[1])[0] == 503)
        started = time.monotonic()
        while time.monotonic() - started < 3:
            assert [alive(address)[0] for address in addresses] == [200, 503, 200]
            time.sleep(0.02)
        assert [known_pids(address) for address in addresses] == known


LOOP = """
import asyncio
async def main():
    lifesigns.watch_loop()
    lifesigns.watch_loop()
    say(engine.serve("127.0.0.1:0", wedged_after=1.5, show_details="always").address)
    await asyncio.sleep(2)
    {middle}
    await asyncio.sleep(2)
asyncio.run(main())
say("closed")
input()
"""


def test_loop__that_does_not_run_is_wedged() -> None:
    with Script(LOOP.format(middle="time.sleep(5)")) as process:
        address = process.line()
        assert alive(address)[0] == 200
        wait_until(lambda: alive(address)[0] == 503)
        assert b"health_event_loop_lag_seconds{pid=" in fetch(address, "/metrics").body
        wait_until(lambda: alive(address)[0] == 200)
        assert process.line() == "closed"


def test_loop__that_is_closed_is_looked_at_no_more() -> None:
    with Script(LOOP.format(middle="")) as process:
        address = process.line()
        assert process.line() == "closed"
        started = time.monotonic()
        while time.monotonic() - started < 4:
            assert alive(address)[0] == 200
            time.sleep(0.05)
        assert b"health_event_loop_lag_seconds" not in fetch(address, "/metrics").body
        process.finish()


def test_dump__writes_the_stacks_once_for_each_wedge() -> None:
    script = f"""
def stuck_here():
    {WEDGE.format(seconds=4)}
stuck_here()
time.sleep(1.5)
stuck_here()
"""
    with serving(script, before="options['dump_on_wedge'] = True") as process:
        _, stderr = process.process.communicate(timeout=60)
        assert process.process.returncode == 0
        assert stderr.count("in stuck_here") == 2
        assert "most recent call first" in stderr


def test_serve__wrong_options_are_refused() -> None:
    engine = Engine()
    for options in ({"wedged_after": 0}, {"alive_requires": "some"}):
        with pytest.raises(ValueError, match=r"wedged_after|alive_requires|any"):
            engine.serve("127.0.0.1:0", **options)


EXITS = {
    "at once": "",
    "within the first beats": "time.sleep(0.3)",
    "later": "time.sleep(0.7)",
    "during a beat": "time.sleep(0.499)",
    "from a wedge": "import ctypes; ctypes.PyDLL(None).usleep(600_000)",
    "with busy threads": """
def spin():
    while True:
        pass
for _ in range(2):
    threading.Thread(target=spin, daemon=True).start()
""",
    "slowly": "import atexit; atexit.register(time.sleep, 0.6)",
    "with a slow destructor": """
class Slow:
    def __del__(self, sleep=time.sleep):
        sleep(0.6)
slow = Slow()
slow.itself = slow
""",
    "by an exception": "sys.exit('bye')",
    "by a signal": "os.kill(os.getpid(), signal.SIGTERM)",
    "of a child": "pid = os.fork()\nif pid == 0:\n    engine.run()\n    sys.exit()\nassert os.waitpid(pid, 0)[1] == 0",
}
ENDS = {"by an exception": (1, "bye"), "by a signal": (-15, "")}


@pytest.mark.parametrize("name", EXITS)
def test_exit__is_clean_and_prompt(name: str) -> None:
    script = SERVE.format(before="engine.register('x', lambda: None); engine.run()") + EXITS[name]
    command = [sys.executable, "-c", Script.preamble + script]
    for _ in range(times(2, 5)):
        running = [
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(4)
        ]
        for process in running:
            _, stderr = process.communicate(timeout=15)
            assert (process.returncode, stderr.strip()) == ENDS.get(name, (0, "")), stderr
