"""Groups of checks: which belong to one, which are critical there, and how old their results may be."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import lifesigns
from lifesigns import Engine
from tests.process.probes import Script, fetch
from tests.servers import misbehaving
from tests.unit.test_asgi import fetch as fetch_asgi

ANYWHERE = "127.0.0.1:0"


def error() -> bool:
    return False


@pytest.fixture
def engine() -> Engine:
    engine = Engine()
    engine.register("web_socket", error)
    engine.register("task_queue", lambda: True, critical=False)
    engine.register("task_workers", error, critical=False)
    return engine


@pytest.mark.parametrize(
    ("checks", "critical", "status"),
    [
        (["task_queue"], ["task_queue"], "healthy"),
        (["task_*"], ["task_queue"], "degraded"),
        (["task_*"], ["task_w*"], "unhealthy"),
        (["*"], ["task_queue"], "degraded"),
        (["*"], [], "degraded"),
        (["*"], None, "unhealthy"),
        (["task_*"], None, "degraded"),
        (["nothing_here"], ["nothing_here"], "unhealthy"),
    ],
)
def test_run__judges_by_the_criticality_of_the_group(
    engine: Engine, checks: list[str], critical: list[str] | None, status: str
) -> None:
    engine.add_group("worker", checks, critical=critical)
    report = engine.run(group="worker")
    assert report["status"] == status
    assert asyncio.run(engine.arun(group="worker"))["status"] == status
    assert list(report["checks"]) == list(engine.names_of("worker"))
    assert report["summary"]["total_checks"] == len(report["checks"])


def test_run__of_no_name_is_a_report_on_no_check(engine: Engine) -> None:
    found = engine.run(names=[])
    assert (found["status"], found["message"]) == ("unhealthy", "No checks are registered")


def test_run__of_no_check_says_so(engine: Engine) -> None:
    engine.add_group("worker", ["nothing_here"])
    assert engine.run(group="worker")["message"] == "None of the group's checks is registered"


def test_run__without_any_of_its_critical_checks_is_not_ready(engine: Engine) -> None:
    engine.add_group("worker", ["task_queue", "task_gone"], critical=["task_gone"])
    report = engine.run(group="worker")
    assert report["status"] == "unhealthy"
    assert report["message"] == "None of the group's critical checks is registered"
    assert list(report["checks"]) == ["task_queue"]
    engine.register("task_gone", lambda: True)
    assert engine.run(group="worker")["status"] == "healthy"


def test_run__critical_only_is_by_the_group(engine: Engine) -> None:
    engine.add_group("worker", ["*"], critical=["task_queue"])
    assert list(engine.run(group="worker", critical_only=True)["checks"]) == ["task_queue"]
    assert engine.names_of("worker", critical_only=True) == ("task_queue",)
    assert list(engine.run(critical_only=True)["checks"]) == ["web_socket"]


def test_run__check_registered_later_belongs_to_its_group(engine: Engine) -> None:
    engine.add_group("worker", ["task_*"])
    engine.register("task_late", lambda: True)
    assert "task_late" in engine.run(group="worker")["checks"]


def test_add_group__replaces_one_of_the_same_name(engine: Engine) -> None:
    engine.add_group("worker", ["task_*"])
    engine.add_group("worker", ["web_socket"])
    assert engine.groups == ("worker",)
    assert engine.names_of("worker") == ("web_socket",)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("a b", ["x"]), "1 to 100 letters"),
        (("g", []), "checks must name at least one check"),
        (("g", "x"), "checks must be a list of names"),
        (("g", ["x y"]), "checks has"),
    ],
)
def test_add_group__wrong_argument(engine: Engine, arguments: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        engine.add_group(*arguments)
    assert engine.groups == ()


def test_add_group__critical_that_is_no_check_of_it(engine: Engine) -> None:
    with pytest.raises(ValueError, match="none of its checks"):
        engine.add_group("g", ["web_*"], critical=["task_queue"])


def test_run__unknown_group(engine: Engine) -> None:
    engine.add_group("worker", ["task_*"])
    with pytest.raises(lifesigns.UnknownCheckError, match=r"unknown group.*wroker.*known are: worker"):
        engine.run(group="wroker")
    with pytest.raises(ValueError, match="exclude each other"):
        engine.run(["task_queue"], group="worker")


def test_max_age__holds_for_what_is_critical_in_the_group() -> None:
    engine, runs = Engine(), {"critical": 0, "other": 0}

    def counting(name: str) -> Any:
        def check() -> None:
            runs[name] += 1

        return check

    for name in runs:
        engine.register(name, counting(name), critical=False)
    engine.add_group("worker", ["*"], critical=["critical"])
    engine.run()
    engine.run(group="worker", max_age=0)
    assert runs == {"critical": 2, "other": 1}


def test_background__renews_what_is_critical_in_a_group_as_what_is_critical() -> None:
    engine = Engine()
    engine.register("x", {"kind": "skipped", "reason": "none"}, critical=False)
    engine.add_group("worker", ["x"], critical=["x"])
    engine.start_background(critical_max_age=0.3)
    first = engine.run()["checks"]["x"]["timestamp"]
    end = time.monotonic() + 5
    while engine.run()["checks"]["x"]["timestamp"] == first:
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("path", "code"),
    [("/group/worker", 200), ("/health/group/worker/", 200), ("/group/web/", 503), ("/group/wroker", 404)],
)
def test_probe_server__answers_with_the_report_of_a_group(engine: Engine, path: str, code: int) -> None:
    engine.add_group("worker", ["task_*"], critical=["task_queue"])
    engine.add_group("web", ["web_*"])
    engine.run()
    with engine.serve(ANYWHERE) as server:
        answer = fetch(server.address, path)
        found = fetch_asgi(lifesigns.asgi(engine), path)
    assert (answer.code, found.status_code) == (code, code)
    if code == 404:
        assert answer.json()["known"] == found.json()["known"] == ["worker", "web"]
        assert answer.json()["message"] == found.json()["message"] == "Unknown group 'wroker'. Did you mean 'worker'?"
        return
    for body in (answer.json(), found.json()):
        assert body["status"] == ("degraded" if code == 200 else "unhealthy")
        # What anonymous callers may see.
        assert all("message" not in result for result in body["checks"].values())


@pytest.mark.parametrize("name", ["task_queue", "dashboard", "fleet", "detailed", "group"])
def test_probe_server__group_may_have_any_name(engine: Engine, name: str) -> None:
    engine.add_group(name, ["task_queue"])
    engine.run()
    with engine.serve(ANYWHERE) as server:
        assert list(fetch(server.address, f"/group/{name}").json()["checks"]) == ["task_queue"]


def test_probe_server__group_is_answered_within_the_budget() -> None:
    engine = Engine()
    with misbehaving.silent() as silent:
        engine.register("x", {"kind": "http", "url": f"http://{silent.host}:{silent.port}/"}, critical=False)
        engine.add_group("worker", ["x"], critical=["x"])
        with engine.serve(ANYWHERE, show_details="always") as server:
            started = time.monotonic()
            answer = fetch(server.address, "/group/worker")
            assert 0.5 < time.monotonic() - started < 4
            assert answer.code == 503
            assert answer.json()["checks"]["x"]["pending"] is True


def test_group__is_503_once_draining() -> None:
    script = """
import asyncio, httpx
engine.register("x", {"kind": "skipped", "reason": "none"})
engine.add_group("worker", ["x"])
say(engine.serve("127.0.0.1:0").address); input(); lifesigns.drain()
async def get():
    transport = httpx.ASGITransport(lifesigns.asgi(engine))
    async with httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
        return await client.get("/group/worker")
say(asyncio.run(get()).status_code); input()
"""
    with Script(script) as process:
        address = process.line()
        assert fetch(address, "/group/worker").code == 200
        process.send_line()
        assert process.line() == "503"
        answer = fetch(address, "/group/worker")
        assert (answer.code, answer.json()["status"]) == (503, "draining")
        process.finish()
