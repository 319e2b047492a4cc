"""The shop of the tests of actions under gunicorn with eight workers: what they answer, and what is sent to them."""

from __future__ import annotations

import json
import os
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

from tests.process.host import ROOT
from tests.services import Postgres, Redis, free_port, wait_until
from tests.services.processes import kill
from tests.services.redis import DEFAULT_PASSWORD

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


def all_answers(shop: Shop) -> Mapping[int, Any]:
    """What all workers answer."""
    found: dict[int, Any] = {}

    def are_all() -> bool:
        found.clear()
        found.update(shop.each())
        return len(found) == WORKERS

    wait_until(are_all, LONG, "all workers answer")
    return found


def all_rows(shop: Shop) -> Mapping[int, Any]:
    """What each worker reads from the database; none of the requests fails."""
    found: dict[int, Any] = {}

    def are_all() -> bool:
        with ThreadPoolExecutor(2 * WORKERS) as pool:
            found.update({answer["pid"]: answer for answer in pool.map(shop.get, ["/row"] * 2 * WORKERS)})
        return len(found) == WORKERS

    wait_until(are_all, LONG, "all workers read")
    return found


def closed(answer: Any) -> list[str]:
    return [entry["state"] for entry in answer["log"] if entry["name"] == "close"]


def send(shop: Shop, *names: str) -> None:
    program = (
        "from tests.actions.shop.tasks import app\nfor name in {!r}: app.send_task('tests.actions.shop.tasks.' + name)"
    )
    sent = subprocess.run(
        [sys.executable, "-c", program.format(names)], env=shop.environment, cwd=shop.folder, timeout=60, check=False
    )
    assert sent.returncode == 0
