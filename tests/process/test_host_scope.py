"""Several real processes that share a store: one run, one breaker, one truth, whatever happens to any of them."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import lifesigns
from lifesigns import _core

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="no host scope there")


class Worker:
    """A process that answers expressions (see `host_worker`)."""

    def __init__(self, directory: Path, **options: Any) -> None:
        arguments = ["-m", "tests.process.host_worker", str(directory), json.dumps(options)]
        command = [sys.executable, "-W", "error", *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    def send(self, expression: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, expression: str) -> Any:
        self.send(expression)
        return self.receive()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


Start = Callable[..., Worker]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    workers: list[Worker] = []

    def start(**options: Any) -> Worker:
        workers.append(Worker(directory, **options))
        return workers[-1]

    yield start
    for worker in workers:
        worker.close()


def runs(directory: Path) -> list[str]:
    path = directory / "runs"
    return path.read_text().split() if path.exists() else []


def until(condition: Callable[[], bool], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ask_all(workers: list[Worker], expression: str) -> list[Any]:
    """What all of them answer at the same time."""
    with ThreadPoolExecutor(len(workers)) as pool:
        return list(pool.map(lambda worker: worker.ask(expression), workers))


def store(directory: Path) -> Path:
    (path,) = (directory / "store").glob(f"*{_core.STORE_SUFFIX}")
    return path


def test_run__by_eight_workers_at_once_is_one(directory: Path, start: Start) -> None:
    (directory / "seconds").write_text("0.2")
    workers = [start() for _ in range(8)]
    assert ask_all(workers, "1") == [1] * 8  # all have started
    for _ in range(3):
        results = ask_all(workers, "engine.check('counted')")
        assert len(runs(directory)) == 1
        assert {result["status"] for result in results} == {"healthy"}
        assert {result["message"] for result in results} == {runs(directory)[0]}
        assert all(result["details"] == results[0]["details"] for result in results)
    refreshed = ask_all(workers, "engine.check('counted', refresh=True)")
    assert 2 <= len(runs(directory)) <= 9, "a request after the end of a run has one of its own"
    assert {result["message"] for result in refreshed} <= set(runs(directory))
    started = len(runs(directory))
    assert all(result["cached"] for result in ask_all(workers, "engine.check('counted')"))
    assert len(runs(directory)) == started


def test_result__is_shared_as_it_is(start: Start) -> None:
    first, second = start(), start()
    original, copy = first.ask("engine.check('counted')"), second.ask("engine.check('counted')")
    assert copy.pop("cached") is True
    assert copy.pop("age_seconds") < 20
    assert original.pop("cached") is False
    assert copy == original


def test_breaker__opened_by_one_is_open_for_all_at_once(directory: Path, start: Start) -> None:
    (directory / "broken").touch()
    first, second = start(), start()
    assert second.ask("engine.breaker('guarded').state") == "closed"
    for _ in range(3):
        assert first.ask("engine.check('guarded', refresh=True)")["status"] == "error"
    assert second.ask("engine.breaker('guarded').state") == "open"
    result = second.ask("engine.check('guarded', refresh=True)")
    assert (result["error_type"], result["circuit_state"]) == ("CircuitOpenError", "open")
    assert 0 < result["retry_after_seconds"] <= 66
    assert len(runs(directory)) == 3
    lines = first.ask("lines")
    assert lines.count("Circuit breaker of guarded: closed -> open") == 1, "reported by the process that caused it"
    assert [line.partition(":")[0] for line in lines if "->" not in line] == ["Not ready"]
    assert second.ask("lines") == []


def test_breaker__counts_failures_of_all_processes(directory: Path, start: Start) -> None:
    (directory / "broken").touch()
    workers = [start() for _ in range(3)]
    for worker in workers:
        assert worker.ask("engine.check('guarded', refresh=True)")["status"] == "error"
    assert [worker.ask("engine.breaker('guarded').state") for worker in workers] == ["open"] * 3


def test_breaker__forced_state_reaches_all(directory: Path, start: Start) -> None:
    first, second = start(), start()
    assert first.ask("engine.breaker('guarded').force_open()") is None
    assert second.ask("engine.breaker('guarded').mode") == "forced-open"
    assert second.ask("engine.check('guarded', refresh=True)")["error_type"] == "CircuitOpenError"
    assert runs(directory) == []
    second.ask("engine.breaker('guarded').reset()")
    assert first.ask("engine.check('guarded', refresh=True)")["status"] == "healthy"
    third = start()
    first.ask("engine.breaker('guarded').disable()")
    assert third.ask("engine.breaker('guarded').mode") == "disabled", "also in processes that start later"


def test_kill__of_leader_hands_the_run_to_a_waiter(directory: Path, start: Start) -> None:
    (directory / "seconds").write_text("60")
    first, second = start(), start()
    second.ask("1")
    first.send("engine.check('counted')")
    until(lambda: len(runs(directory)) == 1)
    second.send("engine.check('counted')")
    time.sleep(0.1)
    assert len(runs(directory)) == 1, "the second waits for the first"
    (directory / "seconds").write_text("0")
    killed = time.monotonic()
    first.process.kill()
    result = second.receive()
    assert time.monotonic() - killed < 5.0
    assert (result["status"], result["message"]) == ("healthy", str(second.process.pid))


def test_stop__of_leader_ends_its_lease_in_time(directory: Path, start: Start) -> None:
    (directory / "seconds").write_text("60")
    first, second = start(), start()
    second.ask("1")
    first.send("engine.check('timely')")
    until(lambda: len(runs(directory)) == 1)
    first.process.send_signal(signal.SIGSTOP)
    try:
        (directory / "seconds").write_text("0")
        deadline = time.monotonic() + 15
        while second.ask("engine.check('timely')")["status"] != "healthy":
            assert time.monotonic() < deadline
    finally:
        first.process.send_signal(signal.SIGCONT)
    first.receive()
    assert second.ask("engine.check('timely')")["status"] == "healthy", "the late timeout changes nothing"
    assert set(runs(directory)) == {str(first.process.pid), str(second.process.pid)}


def test_lock__never_released_costs_the_sharing_and_not_the_answer(directory: Path, start: Start) -> None:
    worker = start()
    assert worker.ask("engine.check('counted')")["status"] == "healthy"
    with open(store(directory), "r+b") as file:
        # All that can be locked lies beyond the end of any file.
        fcntl.lockf(file, fcntl.LOCK_EX, 1 << 20, (1 << 30) + (1 << 20))
        started = time.monotonic()
        assert worker.ask("engine.check('counted', refresh=True)")["status"] == "healthy"
        assert time.monotonic() - started < 5
        assert any("another process holds a record" in line for line in worker.ask("lines"))
    assert worker.ask("engine.check('counted', refresh=True)")["status"] == "healthy"


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "other version":
        content = content[:8] + b"\xff" + content[9:]
    elif how == "garbage":
        content = os.urandom(len(content))
    elif how == "garbage after the header":
        content = content[:4096] + os.urandom(len(content) - 4096)
    elif how == "text":
        content = b"hello\n"
    else:
        content = content[: int(how)]
    with open(path, "r+b") as file:  # the same file, as processes see it that have it open
        file.truncate(0)
        file.write(content)


CUTS = ["0", "10", "5000", "20000", "131072", "140000"]
DAMAGES = ["other version", "garbage", "garbage after the header", "text", *CUTS]


@pytest.mark.parametrize("how", DAMAGES)
def test_damage__is_replaced_and_logged(directory: Path, start: Start, how: str) -> None:
    first = start()
    first.ask("engine.run()")
    first.close()
    damage(store(directory), how)
    second, third = start(), start()
    assert second.ask("engine.run()")["checks"]["guarded"]["status"] == "healthy"
    assert third.ask("engine.run()")["checks"]["counted"]["cached"] is True, "shared again"
    assert any("damaged" in line or "another version" in line for line in second.ask("lines"))
    assert third.ask("lines") == []


@pytest.mark.parametrize("how", DAMAGES)
def test_damage__under_running_workers_changes_no_answer(directory: Path, start: Start, how: str) -> None:
    workers = [start(), start()]
    for worker in workers:
        assert worker.ask("engine.check('counted')")["status"] == "healthy"
        worker.ask("engine.breaker('guarded').state")
    damage(store(directory), how)
    for worker in workers:
        assert worker.ask("engine.check('counted', max_age=0.0)")["status"] == "healthy"
        assert worker.ask("engine.check('guarded', refresh=True)")["status"] == "healthy"
    workers[0].ask("engine.breaker('guarded').force_open()")
    assert workers[1].ask("engine.breaker('guarded').mode") == "forced-open", "shared again"


@pytest.mark.parametrize("how", ["removed", "moved", "directory removed"])
def test_store__gone_under_running_workers_is_made_again(directory: Path, start: Start, how: str) -> None:
    workers = [start(), start()]
    for worker in workers:
        assert worker.ask("engine.check('counted')")["status"] == "healthy"
    if how == "moved":
        store(directory).rename(directory / "elsewhere")
    else:
        store(directory).unlink()
    if how == "directory removed":
        (directory / "store").rmdir()

    def follows(operation: str, mode: str) -> bool:
        workers[0].ask(f"engine.breaker('guarded').{operation}()")
        return bool(workers[1].ask("engine.breaker('guarded').mode") == mode)

    def is_shared() -> bool:
        for worker in workers:
            assert worker.ask("engine.check('counted', refresh=True)")["status"] == "healthy"
        modes = {"force_closed": "forced-closed", "force_open": "forced-open"}
        return store(directory).exists() and all(follows(*step) for step in modes.items())

    until(is_shared)


def test_store__can_be_read_by_its_owner_alone(directory: Path, start: Start) -> None:
    start().ask("engine.run()")
    assert stat.S_IMODE((directory / "store").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory / "store").iterdir()] == [0o600]


def not_shared(worker: Worker, reason: str) -> None:
    """It works in process scope, and says why."""
    assert worker.ask("engine.check('counted')")["status"] == "healthy"
    (line,) = worker.ask("lines")
    assert reason in line
    assert "each process checks for itself" in line
    assert worker.ask("engine.check('counted')")["cached"] is True
    worker.ask("engine.breaker('guarded').force_open()")
    assert worker.ask("engine.check('guarded')")["error_type"] == "CircuitOpenError"
    assert len([line for line in worker.ask("lines") if "each process checks for itself" in line]) == 1


def test_store__at_a_symbolic_link_is_refused(directory: Path, start: Start) -> None:
    (directory / "real").mkdir()
    (directory / "store").symlink_to(directory / "real")
    not_shared(start(), "is a symbolic link")


def test_store__that_others_can_write_to_is_refused(directory: Path, start: Start) -> None:
    (directory / "store").mkdir()
    (directory / "store").chmod(0o777)
    not_shared(start(), "can be written to by others")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@needs_root
def test_store__of_another_user_is_refused(directory: Path, start: Start) -> None:
    (directory / "store").mkdir()
    os.chown(directory / "store", 12345, 12345)
    not_shared(start(), "belongs to somebody else")


@pytest.fixture
def mounted(directory: Path) -> Iterator[Callable[[str], None]]:
    """Mounts a tmpfs with these options on `store`."""
    target = directory / "store"

    def mount(options: str) -> None:
        target.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", str(target)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("cannot mount a file system here")

    yield mount
    subprocess.run(["umount", "--lazy", str(target)], capture_output=True)


@needs_root
def test_store__on_a_read_only_disk_falls_back(mounted: Callable[[str], None], start: Start) -> None:
    mounted("size=1m,ro")
    not_shared(start(), "read-only")


@needs_root
def test_store__on_a_full_disk_falls_back(mounted: Callable[[str], None], directory: Path, start: Start) -> None:
    mounted("size=64k")
    (directory / "store" / "filler").write_bytes(bytes(64 << 10))
    not_shared(start(), "no storage space")


@needs_root
def test_store__on_a_disk_that_fills_up_falls_back(
    mounted: Callable[[str], None], directory: Path, start: Start
) -> None:
    mounted("size=64k")
    worker = start()
    assert worker.ask("engine.check('counted')")["status"] == "healthy"
    with pytest.raises(OSError, match="space"):
        (directory / "store" / "filler").write_bytes(bytes(64 << 10))
    assert worker.ask("engine.check('guarded')")["status"] == "healthy"
    assert worker.ask("engine.check('guarded', refresh=True)")["status"] == "healthy"
    (line,) = worker.ask("lines")
    assert "no storage space" in line


def test_fork__parent_and_child_share_one_store(directory: Path, start: Start) -> None:
    worker = start()
    message = worker.ask("engine.check('counted')")["message"]
    child = worker.ask("in_child(lambda: engine.check('counted'))")
    assert (child["message"], child["cached"]) == (message, True)
    worker.ask("in_child(lambda: engine.breaker('guarded').force_open())")
    assert worker.ask("engine.breaker('guarded').mode") == "forced-open"
    grandchild = worker.ask("in_child(lambda: in_child(lambda: engine.breaker('guarded').mode))")
    assert grandchild == "forced-open"
    assert len(runs(directory)) == 1


def test_fork__child_waits_for_run_of_parent(directory: Path, start: Start) -> None:
    (directory / "seconds").write_text("1")
    worker = start()
    worker.ask("in_thread(lambda: engine.check('counted'))")
    worker.ask("wait_for_runs(1)")
    child = worker.ask("in_child(lambda: engine.check('counted'))")
    assert child["message"] == str(worker.process.pid)
    assert len(runs(directory)) == 1


def test_settings__that_differ_have_records_of_their_own(directory: Path, start: Start) -> None:
    worker, other = start(), start(application="other")
    worker.ask("engine.breaker('guarded').force_open()")
    assert other.ask("engine.breaker('guarded').mode") == "automatic"
    same = start()
    assert same.ask("engine.breaker('guarded').mode") == "forced-open"
    assert same.ask("make(timeout=20.0).check('counted')")["cached"] is False
    assert worker.ask("make(timeout=20.0).check('counted')")["cached"] is True
    assert worker.ask("make(timeout=19.0).check('counted')")["cached"] is False
    assert worker.ask("make(breaker={'failures': 2}).check('counted')")["cached"] is False
    assert worker.ask("make(critical=False, ttl=10.0).check('counted')")["cached"] is True, "up to the caller"


def test_native_checks__are_identified_by_their_spec(directory: Path) -> None:
    def engine(reason: str) -> lifesigns.Engine:
        engine = lifesigns.Engine(share="host", store_path=directory / "store")
        engine.register("x", {"kind": "skipped", "reason": reason})
        return engine

    first, second = engine("one"), engine("two")
    assert first.check("x")["message"] == "one"
    assert second.check("x")["message"] == "two"
    assert engine("one").check("x")["cached"] is True


def test_store__holds_no_secret(directory: Path) -> None:
    engine = lifesigns.Engine(share="host", store_path=directory / "store")
    engine.register("x", {"kind": "redis", "url": "redis://u:hunter2@127.0.0.1:9/0"}, timeout=1.0)
    engine.check("x")
    content = store(directory).read_bytes()
    assert b"ConnectionRefusedError" in content
    assert b"hunter2" not in content


def test_beat__reaches_other_processes_and_outlives_its_own(start: Start) -> None:
    first, second = start(), start()
    never = second.ask("engine.check('alive')")
    assert (never["status"], never["message"]) == ("error", "worker was never heard")
    first.ask("lifesigns.beat('worker')")
    heard = second.ask("engine.check('alive', refresh=True)")
    assert heard["status"] == "healthy"
    assert 0 <= heard["details"]["age_seconds"] < 1
    first.close()
    until(lambda: second.ask("engine.check('alive', refresh=True)")["status"] == "error")
    assert second.ask("engine.check('alive', refresh=True)")["message"].startswith("worker was not heard for ")


def test_beat__in_process_scope_stays_there() -> None:
    engine = lifesigns.Engine()
    engine.register("x", {"kind": "heartbeat", "name": "some.cron-job", "max_age": 60}, ttl=0.001)
    assert engine.check("x")["status"] == "error"
    lifesigns.beat("some.cron-job")
    assert engine.check("x", refresh=True)["status"] == "healthy"
    with pytest.raises(ValueError, match="must be 1 to 100 letters"):
        lifesigns.beat("a b")
    with pytest.raises(ValueError, match="above 0"):
        engine.register("y", {"kind": "heartbeat", "name": "y", "max_age": 0})


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"share": "fleets"}, "share must be 'process' or 'host', not 'fleets'"),
        ({"share": "host", "application": "a/b"}, "application must be"),
        ({"share": "host", "application": ""}, "application must be"),
    ],
)
def test_engine__wrong_argument_is_named(options: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        lifesigns.Engine(**options)


def test_kill__at_random_instants_changes_no_answer() -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.kill.kill", "--kills", "60"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
