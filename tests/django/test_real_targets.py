"""Targets as real projects have them, on real servers and in fresh processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import run_json, sqlite
from tests.servers.misbehaving import MisbehavingServer
from tests.services import HttpApis, Mosquitto, Postgres, Redis, Smtp, free_port, wait_until
from tests.services.certificates import certificates
from tests.services.proxy import Proxy
from tests.services.redis import PASSWORD, USER

pytestmark = pytest.mark.services

CHECK = """
import json
from django_lifesigns.runtime.engine import get_engine, get_runtime
problems = [problem.id for problem in get_runtime().problems]
print(json.dumps({"problems": problems, **get_engine().run(NAMES, refresh=True)["checks"]}))
"""
# Stands for the file of the private authority, which needs a package that not every interpreter here has.
AUTHORITY = "the private authority"
DJANGO, DJANGO_REDIS = "django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"


def checks(folder: Path, settings: dict[str, Any], *names: str) -> Any:
    return run_json(folder, {"DATABASES": sqlite(folder), **settings}, f"NAMES = {[*names]}\n{CHECK}")


@pytest.fixture(scope="module")
def replica(redis_server: Redis) -> Iterator[Redis]:
    """It is 300 ms behind."""
    with Proxy(redis_server.host, redis_server.port) as proxy, Redis() as replica:
        replica.start()
        replica.command("CONFIG", "SET", "masteruser", USER)
        replica.command("CONFIG", "SET", "masterauth", PASSWORD)
        replica.command("REPLICAOF", proxy.host, str(proxy.port))
        wait_until(lambda: "master_link_status:up" in replica.command("INFO", "replication"), 60, "no replica")
        proxy.delay(0.3)
        yield replica


@pytest.mark.parametrize("backend", [DJANGO, DJANGO_REDIS])
def test_redis__replica_that_lags(redis_server: Redis, replica: Redis, tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend.partition(".")[0])
    cache = {"BACKEND": backend, "LOCATION": [redis_server.url_for(1), replica.url_for(1)]}
    found = checks(tmp_path, {"CACHES": {"default": cache}}, "redis_connectivity", "default_cache")
    assert found["problems"] == []
    assert found["redis_connectivity"]["status"] == "healthy", found
    assert found["default_cache"]["details"]["read_write_test"] == "passed", found
    assert found["default_cache"]["details"]["replica_lag_ms"] >= 200


def test_redis__semicolon_in_a_password(redis_server: Redis, tmp_path: Path) -> None:
    pytest.importorskip("django_redis")
    redis_server.command("ACL", "SETUSER", "semicolon", "on", ">pa;ss", "~*", "+@all")
    url = f"redis://semicolon:pa;ss@{redis_server.host}:{redis_server.port}/1"
    cache = {"BACKEND": DJANGO_REDIS, "LOCATION": url}
    found = checks(tmp_path, {"CACHES": {"default": cache}}, "redis_connectivity", "default_cache")
    assert found["problems"] == []
    assert {found[name]["status"] for name in ("redis_connectivity", "default_cache")} == {"healthy"}, found


@pytest.mark.parametrize("backend", [DJANGO, DJANGO_REDIS])
def test_redis__user_who_may_only_get_and_set(redis_server: Redis, tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend.partition(".")[0])
    redis_server.command("ACL", "SETUSER", "modest", "on", ">modest-secret", "~*", "+get", "+set")
    url = f"redis://modest:modest-secret@{redis_server.host}:{redis_server.port}/0"
    found = checks(tmp_path, {"CACHES": {"default": {"BACKEND": backend, "LOCATION": url}}}, "default_cache")
    assert found["default_cache"]["status"] == "healthy", found
    assert found["default_cache"]["details"]["delete_test"].startswith("not permitted")


@pytest.mark.parametrize(
    "options",
    [
        {"ssl_cert_reqs": "CERT_NONE"},
        {"ssl_cert_reqs": "none", "ssl_check_hostname": "false"},
        {"ssl_ca_certs": AUTHORITY, "ssl_check_hostname": "False"},
    ],
)
def test_redis__tls_options_that_are_text(tmp_path: Path, options: dict[str, str]) -> None:
    options = {key: str(certificates().ca) if value == AUTHORITY else value for key, value in options.items()}
    with Redis(tls=True) as server:
        server.start()
        cache = {"BACKEND": DJANGO, "LOCATION": server.url_for(1), "OPTIONS": options}
        found = checks(tmp_path, {"CACHES": {"default": cache}}, "redis_connectivity")
    assert found["redis_connectivity"]["status"] == "healthy", found


@pytest.mark.parametrize(("ca", "status"), [(True, "healthy"), (False, "error")])
def test_mqtt__private_authority(tmp_path: Path, ca: bool, status: str) -> None:
    with Mosquitto(tls=True) as server:
        server.start()
        config = {**server.django_config(), "CA_CERTS": str(certificates().ca), "KEPALIVE": 7}
        if not ca:
            del config["CA_CERTS"]
        found = checks(tmp_path, {"MQTT_CONFIG": config}, "mqtt_broker")
    assert found["problems"] == ["W002"]
    assert found["mqtt_broker"]["status"] == status, found


def test_postgresql__list_of_hosts_and_ports(postgres: Postgres, tmp_path: Path) -> None:
    entry = postgres.database(engine="django.db.backends.postgresql")
    entry |= {"HOST": "127.0.0.1,127.0.0.1", "PORT": f"{free_port()},{postgres.port}"}
    found = checks(tmp_path, {"DATABASES": {"default": entry}}, "database_connectivity", "connection_pool")
    assert found["problems"] == []
    assert {found[name]["status"] for name in ("database_connectivity", "connection_pool")} == {"healthy"}, found


@pytest.mark.parametrize("encrypted", [True, False])
def test_postgresql__channel_binding_is_required(postgres: Postgres, encrypted: bool, tmp_path: Path) -> None:
    """As the connection string of Neon has it: honoured, or refused where the server cannot."""
    with Postgres(ssl=True) as server:
        entry = (server if encrypted else postgres).database(engine="django.db.backends.postgresql")
        entry["OPTIONS"] = {"sslmode": "require" if encrypted else "prefer", "channel_binding": "require"}
        found = checks(tmp_path, {"DATABASES": {"default": entry}}, "database_connectivity")
    assert found["problems"] == []
    assert found["database_connectivity"]["status"] == ("healthy" if encrypted else "error"), found


def test_mail__port_that_speaks_tls_from_the_first_byte(tmp_path: Path) -> None:
    with Smtp("tls") as server:
        settings = {**server.django_settings(), "EMAIL_USE_TLS": True, "EMAIL_USE_SSL": False}
        found = checks(tmp_path, settings, "aws_ses")["aws_ses"]
    assert (found["status"], found["error_type"]) == ("error", "TLSError")
    assert found["message"].endswith("in Django EMAIL_USE_SSL)")
    assert found["duration_ms"] < 4000


def test_mail__greets_with_the_name_of_djangos_own(tmp_path: Path) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            known = line in (b"EHLO app.example.org\r\n", b"QUIT\r\n")
            writer.write(b"250 test\r\n" if known else b"421 try again\r\n")

    named = 'import socket; socket.getfqdn = lambda *_: "app.example.org"\n'
    backend = "django.core.mail.backends.smtp.EmailBackend"
    with MisbehavingServer(behave) as server:
        settings = {"EMAIL_BACKEND": backend, "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": server.port}
        program = f"{named}NAMES = ['aws_ses']\n{CHECK}"
        found = run_json(tmp_path, {"DATABASES": sqlite(tmp_path), **settings}, program)
    assert found["aws_ses"]["status"] == "healthy", found


@pytest.mark.parametrize("code", [401, 403])
def test_openai__key_without_the_right_to_list_models(code: int, tmp_path: Path) -> None:
    body = json.dumps({"error": {"message": "You have insufficient permissions. Missing scopes: api.model.read."}})
    with HttpApis() as apis:
        apis.control(openai={"status": code, "body": body})
        provider = {"api_key": apis.openai_key, "base_url": apis.openai_base_url}
        found = checks(tmp_path, {"LLM_PROVIDERS": {"openai": provider}}, "openai_api")
    assert found["openai_api"]["status"] == "healthy", found
    assert "may not list models" in found["openai_api"]["message"]
