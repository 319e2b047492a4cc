"""Databases, Valkey, mail and APIs as real projects name them, on real servers and in fresh processes."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import run_json, sqlite
from tests.django.test_real_targets import checks
from tests.servers.misbehaving import MisbehavingServer, refused_port
from tests.services import HttpApis, Postgres, Redis, Smtp

pytestmark = pytest.mark.services

SMTP = {"EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend", "EMAIL_HOST": "127.0.0.1"}
MISSING_SCOPES = "You have insufficient permissions for this operation. Missing scopes: api.model.read."


def test_database__several_hosts_and_ports(postgres: Postgres, tmp_path: Path) -> None:
    database = {**postgres.database(), "HOST": "127.0.0.1,127.0.0.1", "PORT": f"{refused_port()},{postgres.port}"}
    found = checks(tmp_path, {"DATABASES": {"default": database}}, "database_connectivity")
    assert found["problems"] == []
    assert found["database_connectivity"]["status"] == "healthy", found


def test_database__channel_binding_is_required(postgres: Postgres, tmp_path: Path) -> None:
    options = {"sslmode": "require", "channel_binding": "require"}
    with Postgres(ssl=True) as secure:
        database = {**secure.database(), "OPTIONS": options}
        found = checks(tmp_path, {"DATABASES": {"default": database}}, "database_connectivity")
    assert found["problems"] == []
    assert found["database_connectivity"]["status"] == "healthy", found
    plain = {**postgres.database(), "OPTIONS": {"channel_binding": "require"}}
    result = checks(tmp_path, {"DATABASES": {"default": plain}}, "database_connectivity")["database_connectivity"]
    assert (result["status"], "channel_binding=require" in result["message"]) == ("error", True), result


@pytest.mark.parametrize("scheme", ["valkey", "redis"])
def test_valkey__by_its_django_backend(redis_server: Redis, tmp_path: Path, scheme: str) -> None:
    pytest.importorskip("django_valkey")
    location = redis_server.url_for(1).replace("redis://", f"{scheme}://")
    caches = {"default": {"BACKEND": "django_valkey.cache.ValkeyCache", "LOCATION": location}}
    found = checks(tmp_path, {"CACHES": caches}, "redis_connectivity", "default_cache")
    assert found["problems"] == []
    assert found["redis_connectivity"]["status"] == "healthy", found
    assert found["default_cache"]["details"]["read_write_test"] == "passed", found


@pytest.mark.parametrize(
    ("server", "given", "said"),
    [("tls", {"EMAIL_USE_TLS": True}, "use implicit TLS"), ("starttls", {"EMAIL_USE_SSL": True}, "use STARTTLS")],
)
def test_mail__port_that_speaks_the_other_kind_of_tls(tmp_path: Path, server: Any, given: Any, said: str) -> None:
    with Smtp(server) as smtp:
        mail = {**smtp.django_settings(), "EMAIL_USE_TLS": False, "EMAIL_USE_SSL": False, **given}
        result = checks(tmp_path, mail, "aws_ses")["aws_ses"]
    assert (result["status"], said in result["message"]) == ("error", True), result
    assert result["duration_ms"] < 4000


def test_mail__greets_as_django_does(tmp_path: Path) -> None:
    greetings: list[bytes] = []

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            if line.startswith(b"EHLO"):
                greetings.append(line.split()[1])
            refused = line.startswith((b"EHLO [", b"EHLO localhost"))
            writer.write(b"221 bye\r\n" if line == b"QUIT\r\n" else b"421 no\r\n" if refused else b"250 test\r\n")

    name = "import socket; socket.getfqdn = lambda *_: 'app.example.org'\n"
    program = f"""{name}
import json
from django.core.mail.utils import DNS_NAME
from django_lifesigns.runtime.engine import get_engine
print(json.dumps([get_engine().check("aws_ses"), str(DNS_NAME)]))
"""
    with MisbehavingServer(behave) as server:
        mail = {**SMTP, "EMAIL_PORT": server.port, "EMAIL_HOST_USER": "", "EMAIL_HOST_PASSWORD": ""}
        result, django_says = run_json(tmp_path, {"DATABASES": sqlite(tmp_path), **mail}, program)
    assert result["status"] == "healthy", result
    assert {greeting.decode() for greeting in greetings} == {django_says} == {"app.example.org"}


LOGINS = """
import json, time
import counting
from django_lifesigns.runtime.engine import get_engine
engine = get_engine()
engine.start_background()
end = time.monotonic() + 3
while time.monotonic() < end:
    engine.run()
    time.sleep(0.02)
print(json.dumps(counting.runs))
"""
REPLY = b"250-test\r\n250 AUTH PLAIN\r\n"
COUNTING = "runs = 0\ndef check():\n    global runs\n    runs += 1\n    return True\n"


def test_mail__server_sees_one_login_where_other_checks_run_many_times(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := await reader.readline():
            seen[line.split()[0].decode()] += 1
            writer.write(b"221 bye\r\n" if line == b"QUIT\r\n" else b"235 ok\r\n" if b"AUTH" in line else REPLY)

    (tmp_path / "counting.py").write_text(COUNTING)
    with MisbehavingServer(behave) as server:
        mail = {**SMTP, "EMAIL_PORT": server.port, "EMAIL_HOST_USER": "app", "EMAIL_HOST_PASSWORD": "secret"}
        lifesigns = {"DEFAULT_TTL": 0.1, "CHECKS": {"counted": {"check": "counting.check"}}}
        settings = {"DATABASES": sqlite(tmp_path), **mail, "LIFESIGNS": lifesigns}
        runs = run_json(tmp_path, settings, LOGINS)
    assert runs > 10
    assert seen == {"EHLO": 1, "AUTH": 1, "QUIT": 1}


@pytest.mark.parametrize("code", [401, 403])
def test_openai__key_that_may_not_list_models(http_apis: HttpApis, tmp_path: Path, code: int) -> None:
    http_apis.control(openai={"status": code, "body": json.dumps({"error": {"message": MISSING_SCOPES}})})
    try:
        provider = {"api_key": http_apis.openai_key, "base_url": http_apis.openai_base_url}
        result = checks(tmp_path, {"LLM_PROVIDERS": {"openai": provider}}, "openai_api")["openai_api"]
    finally:
        http_apis.control()
    assert result["status"] == "healthy", result
    assert result["message"].endswith(" knows the key, which may not list models")
    assert result["details"] == {"authentication": "valid"}
