"""Servers that are named by a URL, and fields beside it, which come first."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from lifesigns import Engine, specs
from tests.services import Certificates, Mosquitto, Postgres, Smtp
from tests.services import mosquitto as mqtt
from tests.services import smtp as mail


def probe(spec: specs.Spec | dict[str, Any], *secrets: str) -> dict[str, Any]:
    engine = Engine(default_timeout=5.0)
    engine.register("server", spec)
    result = dict(engine.check("server", refresh=True))
    text = json.dumps(result) + repr(spec if isinstance(spec, specs.Spec) else "")
    assert not [secret for secret in secrets if secret in text or quote(secret, safe="") in text]
    return result


def postgres_url(postgres: Postgres, password: str) -> str:
    database = postgres.database()
    return (
        f"postgresql://{database['USER']}:{quote(password, safe='')}@{postgres.host}:{postgres.port}/{database['NAME']}"
    )


def test_postgres(postgres: Postgres) -> None:
    password = str(postgres.database()["PASSWORD"])
    right, wrong = postgres_url(postgres, password), postgres_url(postgres, "wrong-password-3")
    for spec in (
        specs.Postgres(url=right),
        {"kind": "postgres", "url": right},
        {"kind": "postgres", "server": {"url": wrong, "password": password}},
        specs.Postgres(server=specs.PostgresServer(url=wrong, password=password)),
        specs.Postgres(server=specs.PostgresServer.from_url(right)),
        specs.PostgresConnections(url=right),
    ):
        result = probe(spec, password, "wrong-password-3")
        assert result["status"] == "healthy", result
    assert probe(specs.Postgres(url=wrong), "wrong-password-3")["error_type"] == "AuthenticationError"


def test_mqtt(mosquitto: Mosquitto) -> None:
    password = quote(mqtt.PASSWORD, safe="")
    url = f"mqtt://{mqtt.USER}:{password}@{mosquitto.host}:{mosquitto.port}"
    wrong = f"mqtt://{mqtt.USER}:wrong-password-3@unknown.invalid"
    beside = specs.Mqtt(url=wrong, host=mosquitto.host, port=mosquitto.port, password=mqtt.PASSWORD)
    for spec in (specs.Mqtt(url=url), beside):
        result = probe(spec, mqtt.PASSWORD, "wrong-password-3")
        assert result["status"] == "healthy", result
    assert probe(specs.Mqtt(url=url, password="wrong-password-3"))["error_type"] == "AuthenticationError"


@pytest.mark.parametrize(
    ("security", "url", "beside"),
    [
        ("starttls", "submission://{login}@localhost:{port}", {}),
        ("starttls", "smtp://{login}@localhost:{port}", {"security": "starttls"}),
        ("tls", "smtps://{login}@localhost:{port}/", {}),
        ("tls", "submissions://localhost", {"username": mail.USER, "password": mail.PASSWORD}),
        ("plain", "smtp://{login}@localhost:{port}", {"security": "none"}),
    ],
)
def test_smtp(certificates: Certificates, security: mail.Security, url: str, beside: dict[str, Any]) -> None:
    login = f"{mail.USER}:{quote(mail.PASSWORD, safe='')}"
    with Smtp(security) as server:
        port = {} if "{port}" in url else {"port": server.port}
        spec: dict[str, Any] = {"kind": "smtp", "url": url.format(login=login, port=server.port), **beside, **port}
        result = probe(spec | {"tls": {"ca": str(certificates.ca)}}, mail.PASSWORD)
    assert result["status"] == "healthy", result
    assert result["details"]["authentication"] == "successful"
