"""Wrong specifications and options: a `ValueError` at once, in Python's words, without a secret."""

from __future__ import annotations

import collections
import decimal
import types
from pathlib import Path
from typing import Any

import pytest

import lifesigns
from lifesigns import specs
from tests.unit.test_specs import ALL

SKIPPED = {"kind": "skipped", "reason": "r"}
SECRET = "hunter2"


def refused(spec: Any, **options: Any) -> str:
    """Return why a registration is refused."""
    engine = lifesigns.Engine()
    with pytest.raises(ValueError, match=r"^c: ") as caught:
        engine.register("c", spec, **options)
    assert engine.names == ()
    return str(caught.value)


KINDS = pytest.mark.parametrize("spec", [spec.to_dict() for spec in ALL], ids=lambda spec: spec["kind"])


@KINDS
def test_field_of_another_type_is_named(spec: dict[str, Any]) -> None:
    for name, value in spec.items():
        wrong: Any = 4711 if isinstance(value, (str, list, dict)) else {}
        # A value of any type is right for what is only passed on.
        message = refused({**spec, name: wrong})
        assert message.startswith(f"c: {name} must be "), message
        assert message.endswith(f"not {type(wrong).__name__}"), message
        assert "4711" not in message


@KINDS
def test_field_of_a_near_name_is_suggested(spec: dict[str, Any]) -> None:
    for name in spec.keys() - {"kind"}:
        value = {key: item for key, item in spec.items() if key != name}
        swapped = name[:-2] + name[-1] + name[-2] if len(name) > 3 else name + "x"
        message = refused({**value, swapped: spec[name]})
        assert message == f"c: unknown field '{swapped}': did you mean '{name}'?"


@KINDS
def test_missing_field_is_named(spec: dict[str, Any]) -> None:
    required = refused({"kind": spec["kind"]}) if spec["kind"] not in ("memory", "cpu") else None
    assert required is None or required.endswith(" is required"), required


@KINDS
def test_unknown_field_lists_those_that_are_known(spec: dict[str, Any]) -> None:
    message = refused({**spec, "completely_different": 1})
    assert message.startswith("c: unknown field 'completely_different': known are ")
    assert all(name in message for name in spec.keys() - {"kind"})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"kind": "tcp", "host": "h", "port": "5432"}, "c: port must be an int, not str"),
        ({"kind": "tcp", "host": "h", "port": 70000}, "c: port must be an int from 1 to 65535, not 70000"),
        ({"kind": "tcp", "host": "h", "port": -1}, "c: port must be an int from 1 to 65535, not -1"),
        ({"kind": "tcp", "host": "h", "port": 2**70}, "c: port must be an int from 1 to 65535, not one of more than"),
        ({"kind": "tcp", "host": "h", "port": 1.0}, "c: port must be an int, not float"),
        ({"kind": "tcp", "host": "h", "port": True}, "c: port must be an int, not bool"),
        ({"kind": "tcp", "host": None, "port": 1}, "c: host must be a str, not None"),
        ({"kind": "tcp", "host": b"h", "port": 1}, "c: host must be a str, not bytes"),
        ({"kind": "tcp", "host": decimal.Decimal(1), "port": 1}, "c: host must be a str, not Decimal"),
        ({"kind": "tcp", "hots": "h", "port": 1}, "c: unknown field 'hots': did you mean 'host'?"),
        ({"kind": "tcp", "port": 1}, "c: host is required"),
        ({"kind": "tcp", "host": "h", "port": 1, "tls": "yes"}, "c: tls must be a dict, not str"),
        ({"kind": "tcp", "host": "h", "port": 1, "tls": ["full"]}, "c: tls must be a dict, not list"),
        ({"kind": "postgress"}, "c: unknown kind 'postgress': did you mean 'postgres'?"),
        ({"kind": "?"}, "c: unknown kind '?': known are postgres, "),
        ({"kind": 1}, "c: kind must be a str, not int"),
        ({}, "c: kind is required, one of postgres, "),
        ({"kind": "postgres", "server": 7}, "c: server must be a dict or a postgresql:// URL, not int"),
        ({"kind": "postgres", "server": "host"}, "c: server: a PostgreSQL URL starts with postgresql://"),
        ({"kind": "postgres", "server": {}, "url": "postgresql://h"}, "c: server is given twice"),
        (
            {"kind": "postgres", "server": {"sslmod": "require"}},
            "c: unknown field 'server.sslmod': did you mean 'server.sslmode'?",
        ),
        ({"kind": "postgres", "server": {"sslmode": "on"}}, "c: server.sslmode must be one of 'disable', "),
        (
            {"kind": "tls_certificate", "host": "h", "port": 1, "starttls": "SMPT"},
            "c: starttls must be one of 'smtp', 'imap', 'pop3', 'postgres': did you mean 'smtp'?",
        ),
        ({"kind": "disk", "paths": "/"}, "c: paths must be a list, not str"),
        ({"kind": "disk", "paths": ["/", 1]}, "c: paths[1] must be a str, not int"),
        ({"kind": "directories", "directories": {"d": {}}}, "c: directories.d.path is required"),
        ({"kind": "directories", "directories": {1: {}}}, "c: the names of its fields must be of type str"),
        (
            {"kind": "memory", "thresholds": {"degraded_above": float("nan"), "error_above": 1}},
            "c: thresholds: degraded_above (nan) must be a number from 0 to error_above (1)",
        ),
        (
            {"kind": "memory", "thresholds": {"degraded_above": "80", "error_above": 1}},
            "c: thresholds.degraded_above must be a number, not str",
        ),
        (
            {"kind": "http", "url": "http://h", "json": {"/a": float("nan")}},
            "c: json./a must be a finite number, not nan",
        ),
        (
            {"kind": "http", "url": "http://h", "json": {"/a": {"$lt": [float("-inf")]}}},
            "c: json./a.$lt[0] must be a finite number, not -inf",
        ),
        ({"kind": "http", "url": "http://h", "json": {"/s~2": 1}}, 'c: json: "/s~2" is not a JSON pointer'),
        *(
            ({"kind": "heartbeat", "name": name, "max_age": 1}, "c: name must be 1 to 100 letters, digits, ")
            for name in ("", "a b", "\u00fc", "a\n\x1b[31m", "x" * 101)
        ),
        ({"kind": "heartbeat", "name": "n", "max_age": 0}, "c: max_age must be a number of seconds above 0 and below "),
        ({"kind": "heartbeat", "name": "n", "max_age": float("inf")}, "c: max_age must be a number of seconds above 0"),
        ({"kind": "skipped", "reason": "\ud800"}, "c: a str in it is not valid Unicode"),
    ],
)
def test_spec__table(spec: dict[Any, Any], message: str) -> None:
    assert refused(spec).startswith(message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": "5"}, "c: timeout must be a number, not str"),
        ({"timeout": float("nan")}, "c: timeout must be a number of seconds above 0 and below 86400, not nan"),
        ({"timeout": float("inf")}, "c: timeout must be a number of seconds above 0 and below 86400, not inf"),
        ({"ttl": 0}, "c: ttl must be a number of seconds above 0 and below 86400, not 0"),
        ({"ttl": -1}, "c: ttl must be a number of seconds above 0 and below 86400, not -1"),
        ({"breaker": {"fails": 3}}, "c: unknown field 'breaker.fails': "),
        ({"breaker": {"failures": "3"}}, "c: breaker.failures must be an int, not str"),
        ({"breaker": {"wait": -1}}, "c: breaker.wait must be a number of seconds above 0 and below 86400, not -1"),
        (
            {"breaker": {"failure_rate": float("nan")}},
            "c: breaker: failure_rate must be above 0 and at most ",
        ),
        ({"failures_before_error": -1}, "c: failures_before_error must be an int from 0, not -1"),
        ({"failures_before_error": 1.5}, "c: failures_before_error must be an int, not float"),
    ],
)
def test_options__table(options: dict[str, Any], message: str) -> None:
    assert refused(SKIPPED, **options).startswith(message)


def test_spec_that_contains_itself_is_refused() -> None:
    spec: dict[str, Any] = {"kind": "tcp"}
    spec["tls"] = spec
    assert "levels deep, or containing itself" in refused(spec)
    paths: list[Any] = []
    paths.append(paths)
    assert "levels deep, or containing itself" in refused({"kind": "disk", "paths": paths})
    assert "levels deep, or containing itself" in refused(specs.Disk(paths=paths))


def test_secret_in_any_place_is_not_quoted() -> None:
    url = f"postgresql://u:{SECRET}@h/d?unknown=1"
    for spec in [
        {"kind": "postgres", "server": url},
        {"kind": "tcp", "host": "h", "port": SECRET},
        {"kind": "redis", "url": {SECRET: 1}},
        {"kind": "http", "url": "http://h", "headers": SECRET},
        {"kind": "openai", "api_key": [SECRET]},
        {"kind": "memory", "thresholds": SECRET},
        {"kind": "tcp", "host": f"https://h/?token={SECRET}", "port": 1},
        {"kind": "dns", "name": f"a..{SECRET}"},
        {"kind": "dns", "name": f"a..{SECRET}"},
        {"kind": "dns", "name": "h", "server": f"admin:{SECRET}@ns1.example.org"},
        {"kind": "dns", "name": "h", "server": f"https://h/?token={SECRET}"},
        {"kind": "dns", "name": "h", "expected": [SECRET]},
        {"kind": "grpc", "host": "h", "port": 1, "service": f"https://h/?token={SECRET} x"},
        {"kind": "http", "url": "http://h", "expect_status": SECRET},
        {"kind": "tls_certificate", "host": "h", "port": 1, "tls": [SECRET]},
        {"kind": "postgres", "server": {"host": f" {SECRET}"}},
        {"kind": "postgres", "server": {"hostaddr": SECRET}},
        {"kind": "postgres", "server": {"port": SECRET}},
        {"kind": "task_tables", "server": {}, "tables": [f"{SECRET}\0"]},
    ]:
        assert SECRET not in refused(spec), spec


@KINDS
def test_word_that_is_none_of_the_choices_is_not_quoted(spec: dict[str, Any]) -> None:
    for name in ("login", "method", "transport", "protocol", "security", "starttls", "record_type", "missing_queue"):
        if name in spec:
            message = refused({**spec, name: SECRET})
            assert message.startswith(f"c: {name} must be one of '"), message
            assert SECRET not in message


def test_mappings_sequences_and_paths_are_taken() -> None:
    engine = lifesigns.Engine()
    paths = collections.deque([Path("/"), "/tmp"])
    engine.register("x", types.MappingProxyType({"kind": "disk", "paths": paths}))
    engine.register("y", collections.UserDict({"kind": "disk", "paths": ("/",)}))
    assert engine.names == ("x", "y")


@pytest.mark.parametrize(
    ("key", "hint"),
    [("nmae", "did you mean 'name'?"), ("ZONE", "known are name, zone, instance, url, "), ("sentinel", "did you mean")],
)
def test_fleet__unknown_key_is_named(key: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"^fleet: unknown field '{key}': ") as caught:
        lifesigns.Engine(share="fleet", application="shop", fleet={"url": "redis://h/0", key: "x"})
    assert hint in str(caught.value)
