"""gunicorn with eight workers of a project: each fault is healed and verified by one action, although all saw it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.actions.served_shop import (
    CELERY,
    LONG,
    WORKERS,
    Shop,
    all_answers,
    all_rows,
    closed,
    requested_all_along,
    send,
)
from tests.process.host import on_linux
from tests.services import Postgres, Redis, wait_until
from tests.services.processes import tree

pytest.importorskip("celery")

# Starts servers: not for the interpreters of the test matrix.
pytestmark = [pytest.mark.services, on_linux]


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


def test_cold_cache__is_warmed_once(shop: Shop) -> None:
    # Nothing has filled it yet where this test is the first.
    wait_until(lambda: shop.states("warm")[-1:] == ["healed"], LONG, "it is warm")
    before, warmed = shop.states("warm"), shop.lines("warmed")
    shop.redis.command("-n", "1", "FLUSHDB")
    wait_until(lambda: shop.states("warm") == [*before, "healed"], LONG, "it is warmed")
    assert shop.lines("warmed") == warmed + 1


def test_database_restarted__each_worker_closes_its_stale_connections_and_no_request_meets_one(shop: Shop) -> None:
    backends = {answer["backend"] for answer in all_rows(shop).values()}
    before = {pid: len(closed(answer)) for pid, answer in all_answers(shop).items()}
    shop.postgres.stop()
    wait_until(
        lambda: all(len(closed(one)) > before[pid] for pid, one in all_answers(shop).items()), LONG, "each has acted"
    )
    shop.postgres.start()
    wait_until(lambda: all(closed(one)[-1] == "healed" for one in all_answers(shop).values()), LONG, "verified")
    after = all_rows(shop)
    assert set(after) == set(before), "no worker was replaced"
    assert backends.isdisjoint(answer["backend"] for answer in after.values())
    assert {pid: len(closed(one)) for pid, one in all_answers(shop).items()} == {
        pid: number + 1 for pid, number in before.items()
    }

    def kept() -> dict[str, str]:
        return {process: state for name, state, process in shop.get("/runs")["runs"] if name == "close"}

    wait_until(lambda: list(kept().values()) == ["healed"] * WORKERS, LONG, "each is in the table")


def test_password_rotated__workers_are_reloaded_once_and_no_request_is_lost(shop: Shop) -> None:
    old = set(all_answers(shop))
    before = shop.states("reload")
    text = shop.redis.configuration.read_text()
    (password,) = re.findall(r'requirepass "(.*)"', text)
    with requested_all_along(shop) as outcomes:
        shop.redis.stop()
        shop.redis.configuration.write_text(text.replace(f'requirepass "{password}"', 'requirepass "rotated"'))
        (shop.folder / "password").write_text("rotated")
        shop.redis.start()
        wait_until(lambda: shop.states("reload") == [*before, "healed"], LONG, "reloaded")
        wait_until(lambda: old.isdisjoint(all_answers(shop)), LONG, "all workers are new")
    assert [outcome for outcome in outcomes if outcome] == []
    assert len(outcomes) > 100
    assert shop.log().count("Handling signal: hup") == len(before) + 1


def test_celery_pool_stuck__is_restarted_once(shop: Shop) -> None:
    celery = shop.start(*CELERY)
    wait_until(lambda: "ready." in shop.log(), LONG, "the worker of Celery is ready")
    before = shop.states("pool")
    children = set(tree(celery.pid)[1:])
    send(shop, "stick", "stick")
    wait_until(lambda: shop.lines("stuck") == 2, LONG, "both children are stuck")
    send(shop, "pack", "pack", "pack")
    with (shop.folder / "sent").open("a") as sent:
        sent.write("x\n" * 3)
    wait_until(lambda: shop.states("pool") == [*before, "healed"], LONG, "the pool is restarted")
    assert shop.lines("done") == 3
    assert children.isdisjoint(tree(celery.pid)[1:])
    (entry,) = [entry for entry in shop.get()["log"] if entry["name"] == "pool"][len(before) :]
    assert entry["text"] == "restarted the pools of 1 of 1 workers, ended 2 tasks"
