"""Task queues in Redis, by the keys that their packages leave: over every way to a server, within every ACL."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

import lifesigns
from lifesigns import specs
from tests import services
from tests.checks.redis_server import Configured
from tests.servers import misbehaving
from tests.services import Sentinel, wait_until
from tests.services.redis import DEFAULT_PASSWORD, PASSWORD, USER

CELERY: dict[str, Any] = {"layout": "celery", "queues": ["celery"]}
BINDING = "\x06\x16"


@pytest.fixture(scope="module")
def shared() -> Iterator[Configured]:
    with Configured() as server:
        yield server


@pytest.fixture
def server(shared: Configured) -> Configured:
    shared.command("FLUSHALL")
    return shared


def run(spec: specs.Spec, **options: Any) -> Any:
    engine = lifesigns.Engine()
    engine.register("queue", spec, **options)
    result = engine.check("queue", refresh=True)
    for secret in (PASSWORD, DEFAULT_PASSWORD, quote(PASSWORD, safe=""), "hunter2"):
        assert secret not in str(result)
    return result


def pending(server: Configured | specs.RedisServer, **fields: Any) -> Any:
    where = server if isinstance(server, specs.RedisServer) else specs.RedisServer(url=server.url)
    return run(specs.RedisPendingTasks(server=where, **{**CELERY, **fields}))


def push(server: Configured, key: str, count: int, database: int = 0) -> None:
    server.command("-n", str(database), "LPUSH", key, *["{}"] * count)


def bind(server: Configured, exchange: str, queue: str, prefix: str = "") -> None:
    server.command("SADD", f"{prefix}_kombu.binding.{exchange}", f"{queue}{BINDING}{BINDING}{queue}")


# --- Celery's layout -----------------------------------------------------------------------------------------------


def test_pending_empty_server_is_healthy(server: Configured) -> None:
    result = pending(server, queues=["celery", "mail"])
    assert result["status"] == "healthy"
    assert result["details"] == {
        "total_pending": 0,
        "max_queue_depth": 0,
        "queue_count": 2,
        "queue_breakdown": {"celery": 0, "mail": 0},
        "oldest_pending_seconds": None,
        "taken_tasks": 0,
        "unacked_count": 0,
        "oldest_unacked_seconds": None,
        "oldest_taken_seconds": None,
    }


def test_pending_sum_of_priority_steps_in_the_database_of_the_url(server: Configured) -> None:
    push(server, "celery", 60, database=3)
    push(server, "celery\x06\x163", 30, database=3)
    push(server, "celery\x06\x169", 11, database=3)
    push(server, "celery", 500)
    result = pending(specs.RedisServer(url=server.url_for(3)))
    assert (result["status"], result["details"]["queue_breakdown"]) == ("degraded", {"celery": 101})
    # Connections of other databases and checks are not mistaken for it.
    assert pending(server)["details"]["queue_breakdown"] == {"celery": 500}
    assert pending(specs.RedisServer(url=server.url_for(3)))["details"]["queue_breakdown"] == {"celery": 101}


def test_pending_options_of_the_transport(server: Configured) -> None:
    push(server, "shop:mail", 1)
    push(server, "shop:mail:5", 2)
    server.command("HSET", "shop:taken", "tag", "{}")
    server.command("ZADD", "shop:index", str(time.time() - 90), "tag")
    fields = {"prefix": "shop:", "separator": ":", "priority_steps": [0, 5], "queues": ["mail"]}
    details = pending(server, unacked_key="taken", unacked_index_key="index", **fields)["details"]
    assert details["queue_breakdown"] == {"mail": 3}
    assert details["unacked_count"] == details["taken_tasks"] == 1
    assert 90 <= details["oldest_unacked_seconds"] == details["oldest_taken_seconds"] < 100


def test_pending_discovers_bound_queues(server: Configured) -> None:
    bind(server, "celery", "celery")
    bind(server, "reports", "reports")
    bind(server, "celery.pidbox", "celery@host.celery.pidbox")
    bind(server, "celeryev", "celeryev.1")
    push(server, "reports", 501)
    # A key that looks like a binding and is none costs only itself.
    server.command("SET", "_kombu.binding.text", "x")
    for number in range(5):
        server.command("SET", f"cache:{number}", "x")
    result = pending(server, discover=True)
    assert (result["status"], result["details"]["queue_breakdown"]) == ("error", {"reports": 501, "celery": 0})
    bind(server, "celery", "later")
    assert set(pending(server, discover=True)["details"]["queue_breakdown"]) == {"celery", "reports", "later"}
    assert set(pending(server)["details"]["queue_breakdown"]) == {"celery"}


def test_pending_discovery_among_many_keys_takes_several_runs(server: Configured) -> None:
    server.command("EVAL", "for i = 1, 9000 do redis.call('SET', 'k' .. i, '') end", "0")
    bind(server, "hidden", "hidden", "a*?[b]")
    bind(server, "other", "other", "aXY")
    engine = lifesigns.Engine()
    spec = specs.RedisPendingTasks(server=specs.RedisServer(url=server.url), discover=True, prefix="a*?[b]", **CELERY)
    engine.register("queue", spec)
    found = [engine.check("queue", refresh=True)["details"]["queue_breakdown"] for _ in range(12)]
    assert found[-1] == {"celery": 0, "hidden": 0}


def test_pending_discovery_forgets_bindings_that_have_gone(server: Configured) -> None:
    script = f"for i = 1, 150 do redis.call('SADD', '_kombu.binding.job-' .. i, '{BINDING}{BINDING}job-' .. i) end"
    server.command("EVAL", script, "0")
    engine = lifesigns.Engine()
    where = specs.RedisServer(url=server.url)
    engine.register("queue", specs.RedisPendingTasks(server=where, discover=True, **CELERY))
    counts = [engine.check("queue", refresh=True)["details"]["queue_count"] for _ in range(3)]
    assert counts[-1] == 151
    server.command("FLUSHALL")
    bind(server, "mails", "mails")
    push(server, "mails", 600)
    results = [engine.check("queue", refresh=True) for _ in range(4)]
    assert results[-1]["details"]["queue_breakdown"] == {"mails": 600, "celery": 0}
    assert results[-1]["status"] == "error"


def test_pending_discovery_reads_all_of_a_large_set(server: Configured) -> None:
    script = f"for i = 1, 1200 do redis.call('SADD', '_kombu.binding.all', '{BINDING}{BINDING}q' .. i) end"
    server.command("EVAL", script, "0")
    push(server, "q777", 600)
    where = specs.RedisServer(url=server.url)
    engine = lifesigns.Engine()
    engine.register("queue", specs.RedisPendingTasks(server=where, discover=True, **CELERY))
    results = [engine.check("queue", refresh=True) for _ in range(12)]
    assert results[-1]["details"]["max_queue_depth"] == 600
    # Once it was found it keeps its place.
    depths = [result["details"]["max_queue_depth"] for result in results]
    assert depths == sorted(depths)


# --- RQ, dramatiq, lists -------------------------------------------------------------------------------------------


def iso(ago: float) -> str:
    at = time.time() - ago
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1e6):06}Z"


def rq(server: Configured, kind: Any, **fields: Any) -> Any:
    return run(kind(server=specs.RedisServer(url=server.url), layout="rq", queues=["mail"], **fields))


def test_rq_failures_of_the_window_with_any_ttl(server: Configured) -> None:
    now = time.time()
    # Kept for a year, a day, for ever; and one of yesterday that is kept longest of all.
    for job, ttl, ago in [("a", 31536000, 60), ("b", 86400, 120), ("c", None, 180), ("d", 2 * 31536000, 86400)]:
        server.command("ZADD", "rq:failed:mail", "-1" if ttl is None else str(now - ago + ttl), job)
        server.command("HSET", f"rq:job:{job}", "ended_at", iso(ago))
    server.command("ZADD", "rq:failed:mail", str(now), "forgotten")
    result = rq(server, specs.RedisFailedTasks)
    assert result["details"] == {"failed_count_last_hour": 3, "window_minutes": 60}
    assert rq(server, specs.RedisFailedTasks, window_minutes=1)["details"]["failed_count_last_hour"] == 0


def test_rq_dead_workers_and_abandoned_jobs(server: Configured) -> None:
    # By a prefix of its own: for 5 minutes after a worker was seen there is no error.
    assert rq(server, specs.RedisTaskWorkers, prefix="nobody")["status"] == "error"
    server.command("SADD", "rq:workers:mail", "rq:worker:live", "rq:worker:gone", "rq:worker:ended")
    server.command("HSET", "rq:worker:live", "last_heartbeat", iso(300))
    server.command("HSET", "rq:worker:ended", "last_heartbeat", iso(1), "death", iso(0))
    result = rq(server, specs.RedisTaskWorkers)
    assert (result["status"], result["details"]["active_workers"]) == ("healthy", 1)
    server.command("ZADD", "rq:wip:mail", str(time.time() + 60), "a:1", str(time.time() - 60), "b:1", "+inf", "c")
    server.command("HSET", "rq:job:a", "started_at", iso(100))
    result = rq(server, specs.RedisTaskWorkers)
    assert (result["status"], result["details"]["stuck_tasks"]) == ("degraded", 1)
    assert result["details"]["running_tasks"] == 2
    assert 100 <= result["details"]["oldest_running_seconds"] < 110
    server.command("ZREM", "rq:wip:mail", "b:1")
    assert rq(server, specs.RedisTaskWorkers)["status"] == "healthy"
    assert rq(server, specs.RedisTaskWorkers, stuck_after_seconds=50)["status"] == "degraded"
    server.command("SET", "rq:suspended", "1")
    assert "suspended" in rq(server, specs.RedisTaskWorkers)["message"]


def test_rq_queue_without_worker(server: Configured) -> None:
    server.command("SADD", "rq:workers:mail", "rq:worker:live")
    server.command("HSET", "rq:worker:live", "last_heartbeat", iso(0))
    server.command("SADD", "rq:queues", "rq:queue:mail", "rq:queue:low")
    assert rq(server, specs.RedisTaskWorkers, discover=True)["status"] == "healthy"
    server.command("RPUSH", "rq:queue:low", "a")
    result = rq(server, specs.RedisTaskWorkers, discover=True)
    assert (result["status"], result["details"]["queues_without_worker"]) == ("degraded", ["low"])


def test_rq_worker_that_stopped_in_order_is_missed_after_a_deploy(server: Configured) -> None:
    server.command("SADD", "stop:workers:mail", "stop:worker:1")
    server.command("HSET", "stop:worker:1", "last_heartbeat", iso(400))
    assert rq(server, specs.RedisTaskWorkers, prefix="stop")["status"] == "healthy"
    server.command("SREM", "stop:workers:mail", "stop:worker:1")
    for _ in range(5):
        result = rq(server, specs.RedisTaskWorkers, prefix="stop")
        assert (result["status"], result["details"]["active_workers"]) == ("degraded", 0)
        assert "since a deploy may be under way" in result["message"]


def test_rq_worker_whose_key_expired_has_died(server: Configured) -> None:
    server.command("SADD", "kill:workers:mail", "kill:worker:1")
    server.command("HSET", "kill:worker:1", "last_heartbeat", iso(400))
    assert rq(server, specs.RedisTaskWorkers, prefix="kill")["status"] == "healthy"
    server.command("DEL", "kill:worker:1")
    result = rq(server, specs.RedisTaskWorkers, prefix="kill")
    assert (result["status"], "the last heartbeat was 4" in result["message"]) == ("error", True)
    # Another worker cleans up: that is no deploy.
    server.command("SREM", "kill:workers:mail", "kill:worker:1")
    assert rq(server, specs.RedisTaskWorkers, prefix="kill")["status"] == "error"


def test_rq_overdue_jobs(server: Configured) -> None:
    now = time.time()
    server.command("ZADD", "rq:scheduled:mail", str(now - 400), "a", str(now - 10), "b", str(now + 1000), "c")
    result = rq(server, specs.RedisPendingTasks)
    assert (result["details"]["scheduled_tasks"], result["details"]["overdue_schedules"]) == (2, 1)
    assert result["status"] == "degraded"
    assert result["message"].endswith('; 1 schedule is overdue: no scheduler runs for "mail"')
    server.command("SET", "rq:scheduler-lock:mail", "1")
    assert rq(server, specs.RedisPendingTasks)["message"].endswith("; 1 schedule is overdue")
    server.command("ACL", "SETUSER", "little", "reset", "on", ">hunter2", "~*", "+@all", "-zcount", "-exists")
    where = specs.RedisServer(url=server.url, username="little", password="hunter2")
    result = run(specs.RedisPendingTasks(server=where, layout="rq", queues=["mail"]))
    assert (result["status"], result["details"]["scheduled_tasks"]) == ("healthy", 3)
    assert result["details"]["not_allowed"] == ["ZCOUNT"]


def test_rq_more_queues_than_are_measured(server: Configured) -> None:
    script = "for i = 1, 1500 do redis.call('SADD', 'rq:queues', 'rq:queue:q' .. i) end"
    server.command("EVAL", script, "0")
    server.command("EVAL", "redis.call('SADD', 'rq:queues', 'rq:queue:\\255a', 'rq:queue:\\254a')", "0")
    server.command("SADD", "rq:queues", f"rq:queue:{'x' * 201}")
    server.command("RPUSH", "rq:queue:q1234", *["a"] * 600)
    where = specs.RedisServer(url=server.url)
    engine = lifesigns.Engine()
    fields: dict[str, Any] = {"server": where, "layout": "rq", "discover": True}
    engine.register("pending", specs.RedisPendingTasks(**fields))
    engine.register("failed", specs.RedisFailedTasks(**fields))
    engine.register("workers", specs.RedisTaskWorkers(**fields, expected_workers=0))
    seen = set()
    for _ in range(12):
        details = engine.check("pending", refresh=True)["details"]
        seen |= details["queue_breakdown"].keys()
    assert details["queue_breakdown"]["q1234"] == details["max_queue_depth"] == 600
    # The details list the first 100 of those that are measured: of each turn others.
    assert len(seen) > 200
    for name in ("pending", "failed", "workers"):
        result = engine.check(name, refresh=True)
        assert result["details"]["queues_not_measured"] == 1000 + 3, result
        assert "1003 queues not measured" in result["message"]


def test_dramatiq_dead_letters_of_a_queue_that_is_empty(server: Configured) -> None:
    server.command("ZADD", "dead:mail.XQ", str(time.time() * 1000), "id")
    server.command("HSET", "dead:mail.XQ.msgs", "id", "{}")
    spec = specs.RedisFailedTasks(
        server=specs.RedisServer(url=server.url), layout="dramatiq", prefix="dead", discover=True
    )
    assert [run(spec)["details"]["failed_count_last_hour"] for _ in range(3)] == [1, 1, 1]


def test_dramatiq_large_message_is_not_read(server: Configured) -> None:
    message = json.dumps({"args": ["x" * 9000], "message_timestamp": (time.time() - 60) * 1000})
    small = json.dumps({"args": [], "message_timestamp": (time.time() - 30) * 1000})
    for name, text in (("big", message), ("small", small)):
        server.command("RPUSH", f"ns:{name}", "id")
        server.command("HSET", f"ns:{name}.msgs", "id", text)
    server.command("HSET", "ns:small.msgs", "taken", small)
    server.command("HSET", "ns:small.DQ.msgs", "later", small)
    where = specs.RedisServer(url=server.url)
    result = run(specs.RedisPendingTasks(server=where, layout="dramatiq", prefix="ns", discover=True))
    details = result["details"]
    assert details["queue_breakdown"] == {"big": 1, "small": 1}
    assert (details["taken_tasks"], details["scheduled_tasks"]) == (1, 1)
    assert 30 <= details["oldest_pending_seconds"] < 40


def test_lists_of_any_keys(server: Configured) -> None:
    push(server, "jobs:a", 2)
    server.command("ZADD", "later:a", "1", "x")
    fields: dict[str, Any] = {"layout": "lists", "queues": ["a", "b"], "key": "jobs:{queue}"}
    details = pending(server, scheduled_key="later:{queue}", **fields)["details"]
    assert (details["queue_breakdown"], details["scheduled_tasks"]) == ({"a": 2, "b": 0}, 1)
    assert "taken_tasks" not in details
    result = pending(server, sorted=True, **fields)
    assert (result["status"], result["error_type"]) == ("error", "RequestRejectedError")
    assert "ZCARD failed" in result["message"]


# --- ways to a server ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "rights", "words"),
    [
        ("one", ["-llen"], "may not run LLEN"),
        ("two", ["resetkeys", "~other"], "may not read the keys of LLEN"),
        ("three", ["-select"], "may not run SELECT"),
    ],
)
def test_acl_that_forbids_what_is_needed(server: Configured, user: str, rights: list[str], words: str) -> None:
    server.command("ACL", "SETUSER", user, "reset", "on", ">hunter2", "~*", "+@all", *rights)
    where = specs.RedisServer(url=server.url_for(1, user=user, password="hunter2"))
    result = pending(where)
    assert (result["status"], result["error_type"]) == ("error", "RequestRejectedError")
    assert words in result["message"]
    assert f"{server.host}:{server.port}" in result["message"]


def test_acl_that_forbids_what_is_beside(server: Configured) -> None:
    push(server, "celery", 2)
    rights = ("+ping", "+llen", "+zrange")
    server.command("ACL", "SETUSER", "few", "reset", "on", ">hunter2", "~*", *rights)
    where = specs.RedisServer(url=server.url_for(0, user="few", password="hunter2"))
    result = pending(where, discover=True)
    assert (result["status"], result["details"]["total_pending"]) == ("healthy", 2)
    assert result["details"]["not_allowed"] == ["HLEN", "SCAN"]
    assert "unacked_count" not in result["details"]


def test_server_over_tls_and_unix_socket(certificates: services.Certificates) -> None:
    with Configured(tls=True) as server:
        push(server, "celery", 2)
        tls = specs.Tls(ca=str(certificates.ca))
        for where in (specs.RedisServer(url=server.url, tls=tls), specs.RedisServer(url=server.socket_url)):
            assert pending(where)["details"]["total_pending"] == 2


def test_server_by_sentinels_in_a_database(server: Configured) -> None:
    push(server, "celery", 2, database=2)
    with Sentinel(server, password=True) as sentinel:
        where = specs.RedisServer(
            url="redis:///2",
            username=USER,
            password=PASSWORD,
            sentinels=[sentinel.address],
            master="mymaster",
            sentinel_username=USER,
            sentinel_password=PASSWORD,
        )
        assert pending(where)["details"]["total_pending"] == 2
        result = run(specs.RedisTaskBroker(server=where, backend="celery"))
        assert (result["status"], result["details"]["broker"]) == ("healthy", f"{server.host}:{server.port}")


def test_cluster_keys_of_several_nodes() -> None:
    lines = [["cluster-enabled yes", f"cluster-port {services.free_port()}"] for _ in range(2)]
    with Configured(*lines[0]) as first, Configured(*lines[1]) as second:
        first.command("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
        second.command("CLUSTER", "ADDSLOTSRANGE", "8192", "16383")
        bus = lines[1][1].split()[1]
        first.command("CLUSTER", "MEET", second.host, str(second.port), bus)
        wait_until(lambda: is_ok(first) and is_ok(second), 20, "cluster not ok")
        names = [f"queue{number}" for number in range(20)]
        for name in names:
            first.command("-c", "LPUSH", name, "{}")
        where = specs.RedisServer(url=first.url, cluster=True)
        for _ in range(2):  # learning where the keys are, then knowing it
            assert pending(where, queues=names)["details"]["queue_breakdown"] == dict.fromkeys(names, 1)
        assert {first.command("DBSIZE"), second.command("DBSIZE")}.isdisjoint({"0", "20"})
        # The nodes' own word for where a key is changes.
        first.command("CLUSTER", "DELSLOTSRANGE", "0", "8191")
        assert pending(where, queues=names)["error_type"] == "UnavailableError"


def is_ok(node: Configured) -> bool:
    return "cluster_state:ok" in node.command("CLUSTER", "INFO")


def test_alternatives_in_their_order(server: Configured) -> None:
    push(server, "celery", 2)
    gone = specs.RedisServer(url=f"redis://{server.host}:{misbehaving.refused_port()}")
    here = specs.RedisServer(url=server.url)
    with misbehaving.silent() as silent:
        hung = specs.RedisServer(url=f"redis://{silent.host}:{silent.port}")
        for servers in ([gone, here], [hung, here], [gone, hung, here], [here, gone]):
            spec = specs.RedisPendingTasks(server=servers[0], alternatives=servers[1:], **CELERY)
            result = run(spec, timeout=2)
            assert result["status"] == "healthy", result
            assert result["details"]["total_pending"] == 2
    result = run(specs.RedisTaskBroker(server=gone, alternatives=[gone], backend="celery"))
    assert (result["status"], result["error_type"]) == ("error", "ConnectionRefusedError")
    wrong = specs.RedisServer(url=server.url_for(0, password="hunter2"))
    result = run(specs.RedisTaskBroker(server=wrong, alternatives=[here], backend="celery"))
    assert result["error_type"] == "AuthenticationError"


def test_database_that_the_server_has_not(server: Configured) -> None:
    result = pending(specs.RedisServer(url=server.url_for(99)))
    assert "database 99 cannot be used" in result["message"]


def test_connection_is_one_for_all_checks_of_a_database(server: Configured) -> None:
    where = specs.RedisServer(url=server.url_for(7))
    engine = lifesigns.Engine()
    fields: dict[str, Any] = {"server": where, "layout": "rq", "queues": ["mail"]}
    engine.register("broker", specs.RedisTaskBroker(server=where, backend="rq"))
    engine.register("pending", specs.RedisPendingTasks(**fields))
    engine.register("failed", specs.RedisFailedTasks(**fields))
    engine.register("workers", specs.RedisTaskWorkers(**fields, expected_workers=0))
    assert engine.run(refresh=True)["status"] == "healthy"
    assert len([line for line in server.clients() if " db=7 " in line]) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"queues": []}, "queues must name at least one queue"),
        ({"queues": [""]}, "queues must be at most 500 names"),
        ({"layout": "lists", "queues": ["a", "b"], "key": "jobs"}, r"key must contain \{queue\}"),
        ({"layout": "celry"}, "layout"),
        ({"queue": ["a"]}, "queue"),
    ],
)
def test_wrong_fields(fields: dict[str, Any], words: str) -> None:
    engine = lifesigns.Engine()
    spec = {"kind": "redis_pending_tasks", "server": {"url": "redis://h"}, **CELERY, **fields}
    with pytest.raises(ValueError, match=words):
        engine.register("queue", spec)
    spec = {"kind": "redis_failed_tasks", "server": {"url": "redis://h"}, **CELERY}
    with pytest.raises(ValueError, match="layout must be 'rq' or 'dramatiq'"):
        engine.register("queue", spec)


def test_lists__what_is_overdue_by_the_scores_of_a_zone(server: Configured) -> None:
    shift = 9 * 3600  # of Asia/Tokyo, all the year
    now = time.time()
    for name, at in (("past", now - 3600), ("just", now - 60), ("ahead", now + 3600)):
        server.command("ZADD", "later", str(at - shift), name)
    fields: dict[str, Any] = {"layout": "lists", "queues": ["q"], "scheduled_key": "later"}
    for zone, scheduled, overdue in (("Asia/Tokyo", 2, 1), ("UTC", 0, 3), (None, 3, None)):
        result = pending(server, scheduled_zone=zone, **fields)
        assert result["details"]["scheduled_tasks"] == scheduled, result
        assert result["details"].get("overdue_schedules") == overdue, result
        assert result["status"] == ("degraded" if overdue else "healthy")
    result = pending(server, scheduled_zone="Mars/Crater", **fields)
    assert (result["status"], result["details"]["scheduled_tasks"]) == ("healthy", 3)
    reason = 'the time zone "Mars/Crater" is not known here'
    assert result["details"]["unavailable"] == {"overdue_schedules": reason}


def test_dramatiq__delayed_messages_of_any_content(server: Configured) -> None:
    key = "dramatiq:mail.DQ"
    past = json.dumps({"message_timestamp": 1000, "options": {"eta": 2000}})
    contents = {
        "gone": None,
        "pickle": "\x80no",
        "text": '{"message_timestamp": 1, "options": {"eta": "x"}}',
        "past": past,
    }
    contents["large"] = json.dumps({"message_timestamp": 1000, "options": {"eta": 2000}, "args": ["x" * 9000]})
    for name, content in contents.items():
        server.command("RPUSH", key, name)
        if content is not None:
            server.command("HSET", f"{key}.msgs", name, content)
    spec = specs.RedisPendingTasks(server=specs.RedisServer(url=server.url), layout="dramatiq", queues=["mail"])
    result = run(spec)
    # Of four messages that are there one can be read, and is overdue.
    assert (result["details"]["scheduled_tasks"], result["details"]["overdue_schedules"]) == (3, 1), result
    assert result["status"] == "degraded"
    server.command("HDEL", f"{key}.msgs", "past")
    result = run(spec)
    # What cannot be read is not said to be in time.
    assert (result["status"], "overdue_schedules" in result["details"]) == ("healthy", False), result
