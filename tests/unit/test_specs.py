"""The specifications: as the engine knows them, and without their secrets when shown."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from lifesigns import Engine, specs

SERVER = specs.PostgresServer(host="h", port=5432, user="u", password="hunter2", dbname="d", sslmode="verify-full")
THRESHOLDS = specs.Thresholds(degraded_above=1, error_above=2)
TLS = specs.Tls(verify="chain", ca=Path("/ca"), cert="/cert", key="/key")
TABLES: dict[str, Any] = {"server": SERVER, "tables": ["t"], "required": False}
REDIS = specs.RedisServer(url="rediss://:hunter2@h", username="u", password="hunter2", tls=TLS)
BY_SENTINELS = specs.RedisServer(url="redis://", sentinels=["s:1"], master="m", sentinel_password="hunter2")
QUEUES: dict[str, Any] = {
    "server": REDIS,
    "alternatives": [BY_SENTINELS],
    "layout": "rq",
    "queues": ["q"],
    "discover": True,
    "prefix": "p",
}
AMQP_FIELDS: dict[str, Any] = {
    "host": "h",
    "port": 1,
    "username": "u",
    "password": "hunter2",
    "vhost": "v",
    "tls": TLS,
    "login": "external",
}
AMQP = specs.AmqpServer(**AMQP_FIELDS)

# Each with all of its fields, so that a field that the engine does not know is found.
ALL: list[specs.Spec] = [
    specs.Postgres(server=SERVER),
    specs.Postgres(url="postgresql://u:hunter2@h/d"),
    specs.Postgis(server=SERVER),
    specs.PostgresFunctions(server=SERVER, functions=("f",), required=False),
    specs.PostgresStatements(server=SERVER, slow_ms=50, thresholds=THRESHOLDS),
    specs.PostgresConnections(server=SERVER, thresholds=THRESHOLDS),
    specs.MaterializedViews(server=SERVER, views=["v"]),
    specs.TaskTables(backend="b", **TABLES),
    specs.PendingTasks(sql="SELECT 1", thresholds=THRESHOLDS, **TABLES),
    specs.FailedTasks(sql="SELECT 1", window_minutes=1, thresholds=THRESHOLDS, **TABLES),
    specs.TaskWorkers(sql="SELECT 1", heartbeat_window_minutes=1, expected_workers=2, **TABLES),
    specs.RedisTaskBroker(server=REDIS, alternatives=[BY_SENTINELS], backend="b"),
    specs.RedisPendingTasks(
        priority_steps=[0, 1],
        separator=":",
        unacked_key="u",
        unacked_index_key="i",
        key="{queue}",
        scheduled_key="s",
        sorted=True,
        thresholds=THRESHOLDS,
        **QUEUES,
    ),
    specs.RedisFailedTasks(window_minutes=1, thresholds=THRESHOLDS, **QUEUES),
    specs.RedisTaskWorkers(heartbeat_window_minutes=1, expected_workers=2, stuck_after_seconds=1.5, **QUEUES),
    specs.Redis(url="rediss://:hunter2@h", username="u", password="hunter2", tls=TLS, cluster=True),
    specs.Redis(
        url="redis://", sentinels=["s:1"], master="m", sentinel_username="u", sentinel_password="hunter2", cluster=False
    ),
    specs.Mqtt(host="h", port=1, username="u", password="hunter2", tls=TLS, protocol="5", round_trip_topic="t/"),
    specs.Mqtt(url="mqtts://u:hunter2@h"),
    specs.Mqtt(host="h", tls=TLS, alpn=["mqtt"], transport="websockets", path="/mqtt?signature=hunter2"),
    specs.Amqp(
        url="amqp://u:hunter2@h",
        queues=["q"],
        missing_queue="error",
        publish=True,
        task_queue="t",
        fallbacks=[AMQP],
        **AMQP_FIELDS,
    ),
    specs.AmqpPendingTasks(
        servers=[AMQP, specs.AmqpServer(url="amqp://u:hunter2@h")],
        queues=["q"],
        management_url="https://u:hunter2@h",
        management_tls=TLS,
        thresholds=THRESHOLDS,
    ),
    specs.Smtp(host="h", port=1, username="u", password="hunter2", security="starttls", tls=TLS),
    specs.Smtp(url="submission://u:hunter2@h", local_hostname="l"),
    specs.Http(
        url="https://u:hunter2@h",
        method="POST",
        headers={"x": "hunter2"},
        body="hunter2",
        expect_status=204,
        text="t",
        no_text="n",
        json={"/a": {"$gt": 1}},
        certificate_days=14,
        follow_redirects=3,
        tls=TLS,
    ),
    specs.GoogleMaps(api_key="hunter2", base_url="https://h", tls=TLS),
    specs.OpenAI(api_key="hunter2", base_url="https://h/v1", tls=TLS),
    specs.Anthropic(api_key="hunter2", base_url="https://h", tls=TLS),
    specs.Tcp(host="h", port=1, tls=TLS),
    specs.Dns(name="example.org", record_type="MX", expected=["10 mail.example.org"], server="h:53"),
    specs.TlsCertificate(host="h", port=1, server_name="n", degraded_days=20, error_days=10, starttls="imap", tls=TLS),
    specs.Grpc(host="h", port=1, service="a.B", metadata={"authorization": "hunter2"}, tls=TLS),
    specs.Command(argv=["a", "hunter2"], cwd=Path("/"), environment={"A": "hunter2"}, text="t", nagios=True),
    specs.Command(argv=["a"], expect_exit=3),
    specs.Disk(paths=["/", Path("/var")], thresholds=THRESHOLDS),
    specs.Memory(thresholds=THRESHOLDS),
    specs.Cpu(thresholds=THRESHOLDS, pressure_above=10.0, group_thresholds=THRESHOLDS),
    specs.Directories(directories={"d": specs.Directory(path=Path("/d"), critical=False, mode="read")}),
    specs.Heartbeat(name="n", max_age=60.0),
    specs.Skipped(reason="r"),
]


def kinds_of_the_engine() -> set[str]:
    """The kinds in the registry of src/checks/mod.rs."""
    source = (Path(__file__).resolve().parents[2] / "src/checks/mod.rs").read_text()
    _, _, registry = source.rpartition("registry! {")
    return set(re.findall(r'^    "(\w+)" => ', registry, re.M))


def test_specs__one_for_each_kind_of_the_engine() -> None:
    assert len(kinds_of_the_engine()) >= 28, "the registry is read wrongly"
    classes = {
        cls.kind
        for cls in (getattr(specs, name) for name in specs.__all__)
        if issubclass(cls, specs.Spec) and cls is not specs.Spec
    }
    assert classes == kinds_of_the_engine() == {spec.kind for spec in ALL}


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.kind)
def test_specs__the_engine_knows_every_field(spec: specs.Spec) -> None:
    Engine().register("x", spec)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.kind)
def test_specs__no_secret_is_shown(spec: specs.Spec) -> None:
    assert "hunter2" not in repr(spec)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.kind)
def test_specs__immutable(spec: specs.Spec) -> None:
    name = dataclasses.fields(spec)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(spec, name, None)


def test_breaker__the_engine_knows_every_field() -> None:
    breaker = specs.Breaker(
        failures=2,
        failure_rate=0.5,
        slow_call_rate=0.5,
        slow_call=1,
        window_calls=20,
        window=60,
        minimum_calls=10,
        wait=1,
        max_wait=2,
    )
    Engine().register("x", specs.Cpu(), breaker=breaker)
    assert specs.Breaker(wait=3).to_dict() == {"wait": 3}


def test_to_dict__plain_data() -> None:
    assert specs.Redis(url="redis://h", tls=TLS).to_dict() == {
        "kind": "redis",
        "url": "redis://h",
        "tls": {"verify": "chain", "ca": "/ca", "cert": "/cert", "key": "/key"},
    }
    directories = specs.Directories(directories={"d": specs.Directory(path=Path("/d"))})
    assert directories.to_dict() == {"kind": "directories", "directories": {"d": {"path": "/d"}}}
    assert specs.Disk(paths=("/", Path("/var"))).to_dict() == {"kind": "disk", "paths": ["/", "/var"]}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://u:p@h:5433/d?sslmode=require",
            {"user": "u", "password": "p", "host": "h", "port": 5433, "dbname": "d", "sslmode": "require"},
        ),
        ("postgres://h", {"host": "h"}),
        ("postgresql://", {}),
        ("postgresql://u%40x:p%2Fw%3A@h/d%20b", {"user": "u@x", "password": "p/w:", "host": "h", "dbname": "d b"}),
        (
            "postgresql:///d?host=/run/postgresql&connect_timeout=3",
            {"dbname": "d", "host": "/run/postgresql", "connect_timeout": 3},
        ),
        ("postgresql://%2Frun%2Fpostgresql/d", {"host": "/run/postgresql", "dbname": "d"}),
        ("postgresql://[::1]:1/d", {"host": "::1", "port": 1, "dbname": "d"}),
    ],
)
def test_from_url__table(url: str, expected: Any) -> None:
    assert specs.PostgresServer.from_url(url) == specs.PostgresServer(**expected)


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("mysql://u:hunter2@h", "postgresql://"),
        ("postgresql://u:hunter2@h/d?sslmod=require", "sslmod"),
        ("postgresql://u:hunter2@h/d?connect_timeout=hunter2", "connect_timeout"),
        ("postgresql://u:hunter2/x@h/d", "port"),
        ("postgresql://u:hunter2@h:99999/d", "port"),
    ],
)
def test_from_url__wrong(url: str, named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        specs.PostgresServer.from_url(url)
    assert "hunter2" not in str(caught.value)
