"""Forks: an engine that was imported, configured and used before works in parent and child."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.loops import times
from tests.servers.forward_proxy import ForwardProxy
from tests.services import Certificates, HttpApis, Proxy, wait_until

PREAMBLE = """
import faulthandler, os, threading, traceback, warnings
import lifesigns
# Python warns of any fork beside threads; that this works is what is tested here.
warnings.simplefilter("ignore", DeprecationWarning)
engine = lifesigns.Engine()
engine.register("native", {"kind": "skipped", "reason": "none"})
engine.register("callable", lambda: {"status": "healthy", "message": str(os.getpid())})

def check():
    report = engine.run(refresh=True)
    assert report["status"] == "healthy", report
    assert report["checks"]["callable"]["message"] == str(os.getpid()), report

def fork():
    "Forks a child that checks within 10 s and says on stderr why it could not."
    pid = os.fork()
    if pid == 0:
        faulthandler.dump_traceback_later(10, exit=True)
        code = 1
        try:
            check()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid

def have_checked(children):
    return [os.waitpid(pid, 0)[1] for pid in children] == [0] * len(children)

def fork_and_check(times=1):
    return have_checked([fork() for _ in range(times)])
"""


def run(script: str) -> None:
    result = subprocess.run([sys.executable, "-c", PREAMBLE + script], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("before", ["", "check()"])
def test_fork__leaves_a_working_engine_in_parent_and_child(before: str) -> None:
    run(f"{before}\nassert fork_and_check(5)\ncheck()\nassert fork_and_check(5)\ncheck()")


def test_fork__start_background_in_the_child_runs_callables_without_a_request() -> None:
    run("""
import time
runs = []
background = lifesigns.Engine(default_ttl=0.1)
background.register("callable", lambda: runs.append(os.getpid()))
background.start_background()
pid = os.fork()
if pid == 0:
    background.start_background()
    end = time.monotonic() + 30
    while os.getpid() not in runs and time.monotonic() < end:
        time.sleep(0.05)
    os._exit(0 if os.getpid() in runs else 1)
assert have_checked([pid])
""")


def test_fork__of_a_fork() -> None:
    run(
        """
check()
pid = os.fork()
if pid == 0:
    check()
    assert fork_and_check()
    check()
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
check()
"""
    )


def test_fork__under_load_hangs_no_child() -> None:
    run(
        f"rounds = {times(10, 100)}"
        + """
stop = threading.Event()
def load():
    while not stop.is_set():
        engine.run(refresh=True)
threads = [threading.Thread(target=load) for _ in range(3)]
for thread in threads:
    thread.start()
try:
    for _ in range(rounds):
        assert fork_and_check(4)
finally:
    stop.set()
    for thread in threads:
        thread.join()
check()
"""
    )


def test_fork__while_a_callable_runs_does_not_leave_it_running_in_the_child() -> None:
    run(
        """
import logging
logging.getLogger("lifesigns").addHandler(logging.NullHandler())
hold = threading.Event()
engine.register("held", lambda: hold.wait(60) and None or None, timeout=1)
assert engine.check("held")["error_type"] == "TimeoutError"
assert engine.check("held", refresh=True)["error_type"] == "StillRunningError"
pid = os.fork()
if pid == 0:
    os._exit(0 if engine.check("held")["error_type"] == "TimeoutError" else 1)
assert os.waitpid(pid, 0)[1] == 0
hold.set()
"""
    )


@pytest.mark.parametrize("route", ["http", "https", "https through a proxy"])
def test_fork__http_connection_of_the_parent_ends_while_a_child_lives(certificates: Certificates, route: str) -> None:
    """However it ends: here, without a word to the server."""
    script = """
import json, sys
engine.register("http", json.loads(sys.argv[1]))
assert engine.check("http", refresh=True)["status"] == "healthy"
if os.fork() == 0:
    sys.stdin.readline()
    print("child", engine.check("http", refresh=True)["status"], flush=True)
    os._exit(0)
print("parent", engine.check("http", refresh=True)["status"], flush=True)
threading.Event().wait()
"""
    with HttpApis(tls=route != "http") as apis, Proxy(apis.host, apis.port) as relay, ForwardProxy() as forward:
        url = f"{'https' if apis.tls else 'http'}://localhost:{relay.port}/"
        spec = {"kind": "http", "url": url, "expect_status": 404, "tls": {"ca": str(certificates.ca)}}
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        if "proxy" in route:
            environment["HTTPS_PROXY"] = f"http://127.0.0.1:{forward.port}"
        command = [sys.executable, "-c", PREAMBLE + script, json.dumps(spec)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as parent:
            assert parent.stdin is not None
            assert parent.stdout is not None
            try:
                assert parent.stdout.readline() == "parent healthy\n"
                assert (relay.connections, relay.open_connections) == (1, 1)
                parent.kill()
                wait_until(lambda: relay.open_connections == 0, 10, "the end of the parent's connection")
                parent.stdin.write("check\n")
                parent.stdin.flush()
                assert parent.stdout.readline() == "child healthy\n"
                assert relay.connections == 2
            finally:
                parent.kill()
        assert forward.connections == (2 if "proxy" in route else 0)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing__with_every_start_method(method: str, tmp_path: object) -> None:
    script = """
import multiprocessing, os, sys, warnings
import lifesigns

def work(_):
    warnings.simplefilter("ignore", DeprecationWarning)
    engine = lifesigns.Engine()
    engine.register("x", lambda: str(os.getpid()))
    return engine.check("x")["message"] == str(os.getpid())

if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    assert work(0)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        assert pool.map(work, range(8)) == [True] * 8
"""
    from pathlib import Path

    path = Path(str(tmp_path), "work.py")
    path.write_text(script)
    result = subprocess.run([sys.executable, str(path), method], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stderr) == (0, "")
