"""The file that processes share: refused where it is not safe, replaced where damaged, left alone where it fails."""

from __future__ import annotations

import os
import stat
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

import lifesigns
from lifesigns import _core
from tests.process.fuse import Fuse
from tests.process.host import Start, Worker, needs_root, not_shared, on_linux, runs, store, until, where_shared

pytestmark = where_shared


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
    first.evaluate("engine.run()")
    first.close()
    damage(store(directory), how)
    second, third = start(), start()

    def replaced(worker: Worker) -> bool:
        return any("damaged" in line or "another version" in line for line in worker.evaluate("lines"))

    # A disk that is slow to open or cut the file costs the sharing for a while: no run waits for it.
    assert second.evaluate("engine.run()")["checks"]["guarded"]["status"] == "healthy"
    until(lambda: replaced(second), 60)
    pid = str(second.evaluate("os.getpid()"))

    def shared_again() -> bool:
        second.evaluate("engine.check('counted', refresh=True)")
        return bool(third.evaluate("engine.check('counted')")["message"] == pid)

    until(shared_again, 60)
    assert not replaced(third), "only once"


@pytest.mark.parametrize("how", DAMAGES)
def test_damage__under_running_workers_changes_no_answer(directory: Path, start: Start, how: str) -> None:
    workers = [start(), start()]
    for worker in workers:
        assert worker.evaluate("engine.check('counted')")["status"] == "healthy"
        worker.evaluate("engine.breaker('guarded').state")
    damage(store(directory), how)
    for worker in workers:
        assert worker.evaluate("engine.check('counted', max_age=0.0)")["status"] == "healthy"
        assert worker.evaluate("engine.check('guarded', refresh=True)")["status"] == "healthy"
    workers[0].evaluate("engine.breaker('guarded').force_open()")
    assert workers[1].evaluate("engine.breaker('guarded').mode") == "forced-open", "shared again"


@pytest.mark.parametrize("how", ["removed", "moved", "directory removed"])
def test_store__gone_under_running_workers_is_made_again(directory: Path, start: Start, how: str) -> None:
    workers = [start(), start()]
    for worker in workers:
        assert worker.evaluate("engine.check('counted')")["status"] == "healthy"
    path = store(directory)
    if how == "moved":
        path.rename(directory / "elsewhere")
    else:
        path.unlink()
    if how == "directory removed":
        (directory / "store").rmdir()

    def follows(operation: str, mode: str) -> bool:
        workers[0].evaluate(f"engine.breaker('guarded').{operation}()")
        return bool(workers[1].evaluate("engine.breaker('guarded').mode") == mode)

    def is_shared() -> bool:
        for worker in workers:
            assert worker.evaluate("engine.check('counted', refresh=True)")["status"] == "healthy"
        modes = {"force_closed": "forced-closed", "force_open": "forced-open"}
        return path.exists() and all(follows(*step) for step in modes.items())

    until(is_shared)


def test_store__can_be_read_by_its_owner_alone(directory: Path, start: Start) -> None:
    start().evaluate("engine.run()")
    assert stat.S_IMODE((directory / "store").stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in (directory / "store").iterdir()] == [0o600]


def test_store__at_a_symbolic_link_is_refused(directory: Path, start: Start) -> None:
    (directory / "real").mkdir()
    (directory / "store").symlink_to(directory / "real")
    not_shared(start(), "is a symbolic link")


def test_store__that_others_can_write_to_is_refused(directory: Path, start: Start) -> None:
    (directory / "store").mkdir()
    (directory / "store").chmod(0o777)
    not_shared(start(), "can be written to by others")


@needs_root
def test_store__of_another_user_is_refused(directory: Path, start: Start) -> None:
    (directory / "store").mkdir()
    os.chown(directory / "store", 12345, 12345)
    not_shared(start(), "belongs to another user")


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
    assert worker.evaluate("engine.check('counted')")["status"] == "healthy"
    with pytest.raises(OSError, match="space"):
        (directory / "store" / "filler").write_bytes(bytes(64 << 10))
    assert worker.evaluate("engine.check('guarded')")["status"] == "healthy"
    assert worker.evaluate("engine.check('guarded', refresh=True)")["status"] == "healthy"
    (line,) = worker.evaluate("lines")
    assert "no storage space" in line


def test_store__holds_no_secret(directory: Path) -> None:
    engine = lifesigns.Engine(share="host", store_path=directory / "store")
    engine.register("x", {"kind": "redis", "url": "redis://u:hunter2@127.0.0.1:9/0"}, timeout=1.0)
    engine.check("x")
    content = store(directory).read_bytes()
    assert b"ConnectionRefusedError" in content
    assert b"hunter2" not in content


@needs_root
def test_store__on_a_dead_mount_holds_up_nothing(directory: Path, start: Start) -> None:
    (directory / "store").mkdir()
    worker = start()
    with Fuse(directory / "store", answers=False):
        started = time.monotonic()
        for _ in range(50):
            assert worker.evaluate("engine.check('counted', refresh=True)")["status"] == "healthy"
        worker.evaluate("lifesigns.beat('worker')")
        assert worker.evaluate("engine.check('alive')")["status"] == "healthy"
        assert time.monotonic() - started < 8  # where each waited for the store: 10 s
        # Another thread runs while the first use waits for the store.
        (line,) = worker.evaluate("lines")
        assert "it does not respond" in line
        assert "each process checks for itself" in line
    assert worker.evaluate("engine.check('counted', refresh=True)")["status"] == "healthy"


@needs_root
def test_store__on_a_fuse_file_system_is_refused(directory: Path, start: Start) -> None:
    (directory / "store").mkdir()
    with Fuse(directory / "store", answers=True):
        not_shared(start(), "it is on FUSE, where processes cannot rely on locks: name a local directory as store path")


@needs_root
def test_store__full_after_the_lease_was_taken_lets_waiters_run_the_check(
    mounted: Callable[[str], None], directory: Path, start: Start
) -> None:
    mounted("size=256k")
    (directory / "size").write_text("60000")
    first, second = start(), start()
    assert second.evaluate("1") == 1
    (directory / "seconds").write_text("1")
    first.send("engine.check('counted')")
    until(lambda: len(runs(directory)) == 1)
    with pytest.raises(OSError, match="space"):
        (directory / "store" / "filler").write_bytes(bytes(256 << 10))
    started = time.monotonic()
    result = second.evaluate("engine.check('counted')")
    assert (result["status"], result["message"]) == ("healthy", str(second.process.pid))
    assert time.monotonic() - started < 10, "long before the lease runs out"
    assert first.receive()["status"] == "healthy"
    assert any("no storage space" in line for line in first.evaluate("lines"))


def test_stale_stores__are_removed_but_not_those_in_use(start: Start) -> None:
    directory = _core.default_store()
    names = [f"test-{uuid.uuid4()}" for _ in range(3)]
    paths = [directory / f"{name}{_core.STORE_SUFFIX}" for name in names]
    gone, living, newest = [start(application=name, store_path=None) for name in names[:2]] + [None]
    for worker in (gone, living):
        assert worker is not None
        worker.evaluate("engine.check('counted')")
    assert gone is not None
    gone.close()
    day_ago = time.time() - 25 * 3600
    for path in paths[:2]:
        os.utime(path, (day_ago, day_ago))
    newest = start(application=names[2], store_path=None)
    newest.evaluate("engine.check('counted')")
    until(lambda: not paths[0].exists())
    assert paths[1].exists()
    assert paths[2].exists()
    for path in paths[1:]:
        path.unlink()


@on_linux
def test_store__opened_twice_by_one_process_is_one(directory: Path) -> None:
    paths = [directory / "store", directory / "." / "store", directory / ".." / directory.name / "store"]
    found = []
    for path in paths:
        engine = lifesigns.Engine(share="host", store_path=path, application="shop")
        engine.register("x", {"kind": "skipped", "reason": "r"}, breaker={"failures": 3})
        found.append(engine)
    assert [engine.check("x")["cached"] for engine in found] == [False, True, True]
    found[2].breaker("x").force_open()
    assert [engine.breaker("x").mode for engine in found] == ["forced-open"] * 3
