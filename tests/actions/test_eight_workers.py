"""gunicorn with eight workers of a project: each fault is healed and verified by one action, although all saw it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.process.host import ROOT, on_linux
from tests.services import Postgres, Redis, free_port, wait_until
from tests.services.processes import kill, tree
from tests.services.redis import DEFAULT_PASSWORD

pytest.importorskip("celery")

# Starts servers: not for the interpreters of the test matrix.
pytestmark = [pytest.mark.services, on_linux]

WORKERS = 8
LONG = 120.0
GUNICORN = ("gunicorn", "tests.actions.shop.wsgi", "--workers", str(WORKERS), "--no-control-socket", "--timeout", "300")
CELERY = (
    "celery",
    "-A",
    "tests.actions.shop.tasks",
    "worker",
    "--pool",
    "prefork",
    "--concurrency",
    "2",
    "--loglevel",
    "info",
)


class Shop:
    """The project under gunicorn, its servers and what its workers say."""

    def __init__(self, folder: Path, postgres: Postgres, redis: Redis, stack: ExitStack) -> None:
        self.folder, self.postgres, self.redis, self._stack = folder, postgres, redis, stack
        self.port = free_port()
        given = {
            "database": postgres.database(engine="django.db.backends.postgresql"),
            "redis_port": redis.port,
            "broker": redis.url_for(2),
        }
        (folder / "given.json").write_text(json.dumps(given))
        (folder / "password").write_text(DEFAULT_PASSWORD)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "SHOP_FOLDER": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "tests.actions.shop.settings",
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "C_FORCE_ROOT": "1",
        }

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """A program of the project, killed with the others at the end."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )
        self._stack.callback(process.wait, 10)
        self._stack.callback(kill, process.pid)
        return process

    def serve(self) -> None:
        assert self.start("django", "migrate", "--verbosity", "0").wait(60) == 0, self.log()
        self.start(*GUNICORN, "--bind", f"127.0.0.1:{self.port}")
        wait_until(lambda: len(self.each()) == WORKERS, LONG, "all workers answer")
        wait_until(lambda: all(answer["has_started"] for answer in self.each().values()), LONG, "all have started")

    def get(self, path: str = "/") -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as response:
            return json.load(response)

    def each(self, path: str = "/?hold") -> Mapping[int, Any]:
        """What each worker answers, as far as requests at the same time have reached it."""
        with ThreadPoolExecutor(2 * WORKERS) as pool, suppress(OSError):
            return {answer["pid"]: answer for answer in pool.map(self.get, [path] * 2 * WORKERS)}
        return {}

    def states(self, name: str) -> list[str]:
        """How the runs of an action stand, for all workers that share them."""
        with suppress(OSError):
            return [entry["state"] for entry in self.get()["log"] if entry["name"] == name]
        return []

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def lines(self, name: str) -> int:
        path = self.folder / name
        return len(path.read_text().split()) if path.exists() else 0


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with ExitStack() as stack:
        postgres, redis = stack.enter_context(Postgres()), stack.enter_context(Redis())
        shop = Shop(tmp_path_factory.mktemp("shop"), postgres, redis, stack)
        shop.serve()
        yield shop


@pytest.fixture(autouse=True)
def log_is_shown(shop: Shop) -> Iterator[None]:
    yield
    print(shop.log()[-20_000:])


@contextmanager
def requested_all_along(shop: Shop) -> Iterator[list[str]]:
    """Requests from several clients for as long as the block lasts: what came of each."""
    outcomes: list[str] = []
    over = threading.Event()

    def request() -> None:
        while not over.is_set():
            try:
                shop.get()
                outcomes.append("")
            except OSError as error:
                outcomes.append(repr(error))
            time.sleep(0.01)

    threads = [threading.Thread(target=request) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def test_cold_cache__is_warmed_once(shop: Shop) -> None:
    # Nothing has filled it yet where this test is the first.
    wait_until(lambda: shop.states("warm")[-1:] == ["healed"], LONG, "it is warm")
    before, warmed = shop.states("warm"), shop.lines("warmed")
    shop.redis.command("-n", "1", "FLUSHDB")
    wait_until(lambda: shop.states("warm") == [*before, "healed"], LONG, "it is warmed")
    assert shop.lines("warmed") == warmed + 1


def test_database_restarted__each_worker_closes_its_stale_connections_and_no_request_meets_one(shop: Shop) -> None:
    backends = {answer["backend"] for answer in _rows(shop).values()}
    before = {pid: len(_closed(answer)) for pid, answer in _all(shop).items()}
    shop.postgres.stop()
    wait_until(lambda: all(len(_closed(one)) > before[pid] for pid, one in _all(shop).items()), LONG, "each has acted")
    shop.postgres.start()
    wait_until(lambda: all(_closed(one)[-1] == "healed" for one in _all(shop).values()), LONG, "verified")
    after = _rows(shop)
    assert set(after) == set(before), "no worker was replaced"
    assert backends.isdisjoint(answer["backend"] for answer in after.values())
    assert {pid: len(_closed(one)) for pid, one in _all(shop).items()} == {
        pid: number + 1 for pid, number in before.items()
    }

    def kept() -> dict[str, str]:
        return {process: state for name, state, process in shop.get("/runs")["runs"] if name == "close"}

    wait_until(lambda: list(kept().values()) == ["healed"] * WORKERS, LONG, "each is in the table")


def test_password_rotated__workers_are_reloaded_once_and_no_request_is_lost(shop: Shop) -> None:
    old = set(_all(shop))
    before = shop.states("reload")
    text = shop.redis.configuration.read_text()
    (password,) = re.findall(r'requirepass "(.*)"', text)
    with requested_all_along(shop) as outcomes:
        shop.redis.stop()
        shop.redis.configuration.write_text(text.replace(f'requirepass "{password}"', 'requirepass "rotated"'))
        (shop.folder / "password").write_text("rotated")
        shop.redis.start()
        wait_until(lambda: shop.states("reload") == [*before, "healed"], LONG, "reloaded")
        wait_until(lambda: old.isdisjoint(_all(shop)), LONG, "all workers are new")
    assert [outcome for outcome in outcomes if outcome] == []
    assert len(outcomes) > 100
    assert shop.log().count("Handling signal: hup") == len(before) + 1


def test_celery_pool_stuck__is_restarted_once(shop: Shop) -> None:
    celery = shop.start(*CELERY)
    wait_until(lambda: "ready." in shop.log(), LONG, "the worker of Celery is ready")
    before = shop.states("pool")
    children = set(tree(celery.pid)[1:])
    _send(shop, "stick", "stick")
    wait_until(lambda: shop.lines("stuck") == 2, LONG, "both children are stuck")
    _send(shop, "pack", "pack", "pack")
    with (shop.folder / "sent").open("a") as sent:
        sent.write("x\n" * 3)
    wait_until(lambda: shop.states("pool") == [*before, "healed"], LONG, "the pool is restarted")
    assert shop.lines("done") == 3
    assert children.isdisjoint(tree(celery.pid)[1:])
    (entry,) = [entry for entry in shop.get()["log"] if entry["name"] == "pool"][len(before) :]
    assert entry["text"] == "restarted the pools of 1 of 1 workers, ended 2 tasks"


def _all(shop: Shop) -> Mapping[int, Any]:
    """What all workers answer."""
    found: dict[int, Any] = {}

    def are_all() -> bool:
        found.clear()
        found.update(shop.each())
        return len(found) == WORKERS

    wait_until(are_all, LONG, "all workers answer")
    return found


def _rows(shop: Shop) -> Mapping[int, Any]:
    """What each worker reads from the database; none of the requests fails."""
    found: dict[int, Any] = {}

    def are_all() -> bool:
        with ThreadPoolExecutor(2 * WORKERS) as pool:
            found.update({answer["pid"]: answer for answer in pool.map(shop.get, ["/row"] * 2 * WORKERS)})
        return len(found) == WORKERS

    wait_until(are_all, LONG, "all workers read")
    return found


def _closed(answer: Any) -> list[str]:
    return [entry["state"] for entry in answer["log"] if entry["name"] == "close"]


def _send(shop: Shop, *names: str) -> None:
    program = (
        "from tests.actions.shop.tasks import app\nfor name in {!r}: app.send_task('tests.actions.shop.tasks.' + name)"
    )
    sent = subprocess.run(
        [sys.executable, "-c", program.format(names)], env=shop.environment, cwd=shop.folder, timeout=60, check=False
    )
    assert sent.returncode == 0
