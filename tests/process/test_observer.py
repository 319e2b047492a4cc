"""A fault of the process that checks is no fault of what it checks: the last result stands."""

from __future__ import annotations

import subprocess
import sys

PREAMBLE = """
import asyncio, atexit, logging, os, resource, socket, subprocess, threading, time
import lifesigns
logging.getLogger('lifesigns').addHandler(logging.NullHandler())
"""


def run(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", PREAMBLE + script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


STOPPED = """
engine = lifesigns.Engine(default_timeout=1)
engine.register('python', lambda: time.sleep(.3))
async def sleeps():
    await asyncio.sleep(.3)
engine.register('async', sleeps)
assert engine.run()['status'] == 'healthy'
pid = os.getpid()
stopping = subprocess.Popen(['sh', '-c', f'sleep .1; kill -STOP {pid}; sleep 3; kill -CONT {pid}'])
found = engine.run(refresh=True)['checks']
print(*(found[name]['status'] for name in ('python', 'async')))
stopping.wait()
"""


def test_process_that_was_stopped__finds_no_timeout() -> None:
    assert run(STOPPED).split() == ["healthy", "healthy"]


def test_hung_check_of_a_process_that_runs__is_a_timeout() -> None:
    script = "engine = lifesigns.Engine(default_timeout=.5); engine.register('hung', lambda: time.sleep(600))\n"
    assert "TimeoutError" in run(script + "print(engine.run()['checks']['hung']['error_type'])")


NO_DESCRIPTORS = """
from lifesigns.specs import Tcp
listening = socket.create_server(('127.0.0.1', 0))
engine = lifesigns.Engine(default_timeout=2)
engine.register('tcp', Tcp(host='127.0.0.1', port=listening.getsockname()[1]))
async def opens():
    pass
engine.register('async', opens)
assert engine.run()['status'] == 'healthy'
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open('/dev/null', os.O_RDONLY))
except OSError:
    pass
found = engine.run(refresh=True)['checks']
print(*(found[name]['status'] for name in ('tcp', 'async')))
for descriptor in taken:
    os.close(descriptor)
listening.close()
print(engine.run(refresh=True)['checks']['tcp']['status'])
"""


def test_process_without_descriptors__finds_nothing_unreachable() -> None:
    assert run(NO_DESCRIPTORS).split() == ["healthy", "healthy", "error"]


ENDING = """
engine = lifesigns.Engine(default_timeout=5, default_ttl=.2)
async def connects():
    return await asyncio.to_thread(bool, 1)
def starts_a_thread():
    thread = threading.Thread(target=time.sleep, args=(0,)); thread.start(); thread.join()
engine.register('connects', connects)
engine.register('starts', starts_a_thread)
engine.start_background()
events = []
engine.subscribe(events.append)
time.sleep(1.5)
def report():
    time.sleep(3)
    print([event for event in events if getattr(event, 'to_status', None) == 'error'])
atexit.register(report)
"""


def test_interpreter_that_ends__finds_no_error() -> None:
    assert run(ENDING).strip() == "[]"
