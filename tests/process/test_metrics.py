"""The metrics: SPEC's names, valid, read without running anything, scraped by a real Prometheus."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

import lifesigns
from lifesigns import Engine
from tests.process.probes import Script, fetch
from tests.process.prometheus import Prometheus, promtool
from tests.servers import misbehaving
from tests.services import free_port, wait_until

TOKEN = "hunter2-token"
SECRET = "hunter2-secret"


def tcp(port: int) -> dict[str, Any]:
    return {"kind": "tcp", "host": "127.0.0.1", "port": port}


@pytest.fixture
def engine() -> Engine:
    """With a check for each way in which one can be, none of them run yet."""
    engine = Engine()
    engine.register("good", lambda: {"status": "healthy", "details": {"queue_breakdown": {'a "b"\\\n': 3}}})
    engine.register("bad", tcp(free_port()), critical=False, breaker={"failures": 1, "wait": 60.0})
    engine.register("skipped", {"kind": "skipped", "reason": "none"})
    engine.register("disk", {"kind": "disk", "paths": ["/"]}, critical=False)
    engine.register("memory", {"kind": "memory"}, critical=False)
    engine.register("cpu", {"kind": "cpu"}, critical=False)
    return engine


Samples = dict[str, float]


def samples(engine: Engine) -> Samples:
    """Values by series, as it stands in the text."""
    lines = lifesigns.metrics(engine).splitlines()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")}


def state(found: Samples, metric: str, label: str, **others: str) -> list[str]:
    """Which values of `label` are 1 in a state set."""
    rest = "".join(f'{key}="{value}",' for key, value in others.items())
    pattern = re.compile(rf'{metric}{{{rest}{label}="([^"]*)"}}$')
    return [match[1] for series, value in found.items() if (match := pattern.match(series)) and value == 1]


def test_names__are_those_of_the_specification(engine: Engine) -> None:
    engine.run()
    found = samples(engine)
    assert state(found, "health_status", "status") == ["degraded"]
    assert state(found, "health_check_status", "status", check_name="good") == ["healthy"]
    assert state(found, "health_check_status", "status", check_name="bad") == ["error"]
    assert state(found, "health_check_status", "status", check_name="skipped") == ["skipped"]
    assert state(found, "health_check_circuit_state", "state", check_name="bad") == ["open"]
    assert state(found, "health_check_circuit_state", "state", check_name="good") == []
    assert found['health_check_runs_total{check_name="good",status="healthy"}'] == 1
    assert found['health_check_runs_total{check_name="good",status="error"}'] == 0
    assert found['health_check_errors_total{check_name="bad",error_type="ConnectionRefusedError"}'] == 1
    assert found['health_check_duration_seconds_count{check_name="good"}'] == 1
    assert found['health_check_duration_seconds_bucket{le="+Inf",check_name="good"}'] == 1
    assert found['health_check_stale{check_name="good"}'] == 0
    assert found['health_check_info{check_name="good",critical="true",depends_on=""}'] == 1
    assert found["health_ready"] == 1
    assert found["health_draining"] == 0
    assert found[f'health_build_info{{version="{lifesigns.__version__}"}}'] == 1
    assert found['health_check_timeout_seconds{check_name="good"}'] == 5
    assert abs(found['health_check_last_run_timestamp_seconds{check_name="good"}'] - time.time()) < 60
    assert 0 <= found['health_disk_used_ratio{check_name="disk",path="/"}'] <= 1
    assert 0 < found['health_memory_used_ratio{check_name="memory"}'] <= 1
    assert found['health_cpu_load_ratio{check_name="cpu"}'] >= 0
    assert found[r'health_queue_depth{check_name="good",queue="a \"b\"\\\n"}'] == 3


def test_reading__runs_nothing() -> None:
    engine = Engine()
    with misbehaving.closes() as server:
        engine.register("x", tcp(server.port))
        found = samples(engine)
        assert state(found, "health_status", "status") == []
        assert state(found, "health_check_status", "status", check_name="x") == []
        assert found['health_check_runs_total{check_name="x",status="error"}'] == 0
        assert server.connections == 0


def test_counters__count_runs_and_not_answers(engine: Engine) -> None:
    for _ in range(3):
        engine.run(["good"])
    assert samples(engine)['health_check_runs_total{check_name="good",status="healthy"}'] == 1
    for _ in range(3):
        engine.run(["good"], refresh=True)
    assert samples(engine)['health_check_runs_total{check_name="good",status="healthy"}'] == 4


def test_status__too_old_is_unknown() -> None:
    engine = Engine(default_ttl=0.05, max_stale=0.5)
    engine.register("x", lambda: None)
    engine.register("memory", {"kind": "memory"})
    used = 'health_memory_used_ratio{check_name="memory"}'
    engine.run()
    assert used in samples(engine)
    wait_until(lambda: samples(engine)['health_check_stale{check_name="x"}'] == 1)
    found = samples(engine)
    assert used not in found, "a rule on it would fire though nothing runs"
    assert state(found, "health_check_status", "status", check_name="x") == []
    assert state(found, "health_status", "status") == []
    assert found["health_ready"] == 0


def test_seconds__hold_until_the_result_is_stale() -> None:
    engine = Engine(default_ttl=0.05, max_stale=0.5)
    engine.register("x", lambda: None)
    engine.run()

    def seconds(status: str) -> float:
        return samples(engine)[f'health_check_status_seconds_total{{check_name="x",status="{status}"}}']

    wait_until(lambda: seconds("unknown") > 0.2)
    assert abs(seconds("healthy") - 0.5) < 0.01
    assert (seconds("error"), seconds("degraded")) == (0, 0)


def test_skipped__has_nothing_but_its_status(engine: Engine) -> None:
    engine.run()
    series = [name for name in samples(engine) if 'check_name="skipped"' in name]
    assert {name.partition("{")[0] for name in series} == {"health_check_status"}


def test_blocked__is_an_error_and_no_run() -> None:
    engine = Engine()
    engine.register("parent", tcp(free_port()))
    engine.register("child", lambda: None, depends_on=["parent"])
    engine.run()
    found = samples(engine)
    assert state(found, "health_check_status", "status", check_name="child") == ["error"]
    assert found['health_check_runs_total{check_name="child",status="error"}'] == 0


def test_status__is_the_raw_one_in_the_counters() -> None:
    engine = Engine()
    outcomes = iter([True, False])
    engine.register("x", lambda: next(outcomes), failures_before_error=2)
    engine.run()
    engine.run(refresh=True)
    found = samples(engine)
    assert state(found, "health_check_status", "status", check_name="x") == ["healthy"]
    assert found['health_check_runs_total{check_name="x",status="error"}'] == 1


def test_secrets__stand_in_no_metric() -> None:
    engine = Engine()
    engine.register("redis", {"kind": "redis", "url": f"redis://user:{SECRET}@127.0.0.1:{free_port()}/0"})
    engine.register("http", {"kind": "http", "url": f"http://user:{SECRET}@127.0.0.1:{free_port()}/?key={SECRET}"})

    def raises() -> None:
        raise ValueError(SECRET)

    engine.register("callable", raises)
    engine.run()
    for openmetrics in (False, True):
        assert SECRET not in lifesigns.metrics(engine, openmetrics)


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text; version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        ("application/openmetrics-text;q=0,text/plain", False),
    ],
)
def test_format__is_the_requested_one(engine: Engine, accept: str, openmetrics: bool) -> None:
    assert lifesigns.metrics_format(accept)[0] is openmetrics
    with engine.serve("127.0.0.1:0", show_details="always") as server:
        answer = fetch(server.address, "/metrics/", headers={"Accept": accept})
    assert answer.code == 200
    kind = "application/openmetrics-text; version=1.0.0" if openmetrics else "text/plain; version=0.0.4"
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8" == lifesigns.metrics_format(accept)[1]
    assert answer.body.endswith(b"# EOF\n") is openmetrics
    assert (b"# TYPE health_check_runs counter" in answer.body) is openmetrics
    assert (b"# TYPE health_check_runs_total counter" in answer.body) is not openmetrics


def test_access__metrics_are_details(engine: Engine) -> None:
    with engine.serve("127.0.0.1:0", tokens=[TOKEN]) as server:
        answer = fetch(server.address, "/metrics")
        assert (answer.code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert b"health_" not in answer.body
        assert fetch(server.address, "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).code == 200
    with engine.serve("127.0.0.1:0", networks=["127.0.0.0/8"]) as server:
        assert fetch(server.address, "/metrics").code == 200
    with engine.serve("127.0.0.1:0", show_details="never", tokens=[TOKEN]) as server:
        assert fetch(server.address, "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).code == 401


def test_host__every_process_shows_the_same(tmp_path: Path) -> None:
    script = """
engine = lifesigns.Engine(share="host", store_path=sys.argv[1])
disk = {"kind": "disk", "paths": ["/"], "thresholds": {"degraded_above": 100, "error_above": 100}}
engine.register("x", disk, ttl=0.2)
engine.register("bad", {"kind": "tcp", "host": "127.0.0.1", "port": 1}, breaker={"failures": 1, "wait": 60.0})
say(engine.serve("127.0.0.1:0", show_details="always").address)
input()
"""

    def shown(address: str) -> list[bytes]:
        body = fetch(address, "/metrics").body
        return [line for line in body.splitlines() if b"lag_seconds" not in line and b"status_seconds" not in line]

    def runs(address: str) -> int:
        series = b'health_check_runs_total{check_name="x",status="healthy"} '
        return int(float(fetch(address, "/metrics").body.partition(series)[2].split()[0]))

    with Script(script, str(tmp_path)) as first, Script(script, str(tmp_path)) as second:
        addresses = [first.line(), second.line()]
        wait_until(lambda: min(map(runs, addresses)) >= 5)
        # Between two runs, however short that is.
        wait_until(lambda: shown(addresses[0]) == shown(addresses[1]))
        before = runs(addresses[1])
        first.process.kill()
        wait_until(lambda: runs(addresses[1]) > before)
        with Script(script, str(tmp_path)) as third:
            assert runs(third.line()) > before


@pytest.mark.services
def test_promtool__finds_no_fault(engine: Engine) -> None:
    assert promtool("check", "metrics", text=lifesigns.metrics(engine)) == ""
    engine.run()
    assert promtool("check", "metrics", text=lifesigns.metrics(engine)) == ""


@pytest.mark.services
def test_prometheus__scrapes_them(engine: Engine) -> None:
    with (
        engine.serve("127.0.0.1:0", tokens=[TOKEN]) as server,
        Prometheus([server.address], TOKEN) as prometheus,
    ):
        wait_until(lambda: prometheus.query('health_check_status{status="healthy",check_name="good"} == 1'), 30)
        (target,) = prometheus.targets()
        assert (target["health"], target["lastError"]) == ("up", "")
        (queue,) = prometheus.query("health_queue_depth")
        assert (queue["metric"]["queue"], queue["value"][1]) == ('a "b"\\\n', "3")
        assert prometheus.query('histogram_quantile(0.9, health_check_duration_seconds_bucket{check_name="good"})')
        (runs,) = prometheus.query('health_check_runs_total{check_name="good",status="healthy"}')
        assert float(runs["value"][1]) >= 1
