"""The services as real clients see them: right and wrong credentials, with and without TLS."""

from __future__ import annotations

import smtplib
import socket
import ssl

import httpx
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests import services
from tests.services import HttpApis, Mosquitto, Redis, Smtp
from tests.services.smtp import Security

TIMEOUT = 5


@pytest.fixture(scope="session")
def trusting(certificates: services.Certificates) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates.ca))


def test_redis__user_over_tcp_and_socket(redis_server: Redis) -> None:
    for url in (redis_server.url, redis_server.socket_url):
        with redis.Redis.from_url(url) as client:
            assert client.ping()
            assert client.acl_whoami() == "app"


def test_redis__nobody_is_refused(redis_server: Redis) -> None:
    once = Retry(NoBackoff(), retries=0)
    with redis.Redis(port=redis_server.port, retry=once) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_redis__restart_keeps_the_data(redis_server: Redis) -> None:
    redis_server.command("SET", "kept", "yes")
    redis_server.restart()
    assert redis_server.command("GET", "kept") == "yes"


def test_redis__tls(certificates: services.Certificates) -> None:
    with Redis(tls=True) as server, redis.Redis.from_url(server.url, ssl_ca_certs=str(certificates.ca)) as client:
        assert client.ping()


def test_mosquitto__users(mosquitto: Mosquitto) -> None:
    assert mosquitto.connect() == 0
    assert mosquitto.connect(password="wrong") == 5


def test_mosquitto__tls(trusting: ssl.SSLContext) -> None:
    with Mosquitto(tls=True) as broker:
        assert broker.django_config()["BROKER_PORT"] == broker.tls_port
        assert broker.tls_port is not None
        with (
            socket.create_connection((broker.host, broker.tls_port), TIMEOUT) as plain,
            trusting.wrap_socket(plain, server_hostname=broker.host) as connection,
        ):
            connection.sendall(b"\x10\x0c\0\4MQTT\4\2\0\x0a\0\0")
            assert connection.recv(4) == b"\x20\2\0\5"  # CONNACK: not authorised


@pytest.mark.parametrize("mechanism", ["LOGIN", "PLAIN"])
@pytest.mark.parametrize("security", ["plain", "starttls", "tls"])
def test_smtp__authentication(security: Security, mechanism: str, trusting: ssl.SSLContext) -> None:
    with (
        Smtp(security, mechanisms=(mechanism,)) as server,
        smtplib.SMTP_SSL(server.host, server.port, timeout=TIMEOUT, context=trusting)
        if security == "tls"
        else smtplib.SMTP(server.host, server.port, timeout=TIMEOUT) as client,
    ):
        client.ehlo()
        if security == "starttls":
            assert not client.has_extn("auth")
            client.starttls(context=trusting)
            client.ehlo()
        assert client.esmtp_features["auth"].split() == [mechanism]
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(services.smtp.USER, "wrong")
        assert refused.value.smtp_code == 535
        client.login(services.smtp.USER, services.smtp.PASSWORD)


def test_http__right_key(http_apis: HttpApis) -> None:
    assert _google(http_apis)["status"] == "OK"
    assert _openai(http_apis, http_apis.openai_key).json()["object"] == "list"
    assert _anthropic(http_apis, http_apis.anthropic_key).json()["data"][0]["type"] == "model"


def test_http__wrong_key(http_apis: HttpApis) -> None:
    assert _google(http_apis, key="wrong")["status"] == "REQUEST_DENIED"
    openai, anthropic = _openai(http_apis, "wrong"), _anthropic(http_apis, "wrong")
    assert (openai.status_code, openai.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (anthropic.status_code, anthropic.json()["error"]["type"]) == (401, "authentication_error")


def test_http__controlled(http_apis: HttpApis) -> None:
    http_apis.control(
        google={"api_status": "OVER_QUERY_LIMIT"},
        openai={"status": 429, "retry_after": 7},
        anthropic={"status": 529, "body": "not JSON"},
    )
    assert _google(http_apis)["status"] == "OVER_QUERY_LIMIT"
    openai, anthropic = _openai(http_apis, http_apis.openai_key), _anthropic(http_apis, http_apis.anthropic_key)
    assert (openai.status_code, openai.headers["Retry-After"]) == (429, "7")
    assert (anthropic.status_code, anthropic.text) == (529, "not JSON")
    http_apis.control()
    assert _openai(http_apis, http_apis.openai_key).status_code == 200


def test_http__delay_and_counts(http_apis: HttpApis) -> None:
    before = http_apis.requests()
    http_apis.control(delay=5)
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{http_apis.openai_base_url}/models", timeout=httpx.Timeout(TIMEOUT, read=0.2))
    http_apis.control()
    after = http_apis.requests()
    assert {name: after[name] - before[name] for name in after} == {"google": 0, "openai": 1, "anthropic": 0}


def test_http__tls_and_keep_alive(trusting: ssl.SSLContext) -> None:
    with HttpApis(tls=True) as apis, httpx.Client(verify=trusting) as client:
        for _ in range(2):
            assert client.get(f"{apis.openai_base_url}/models").status_code == 401
        assert apis.requests()["openai"] == 2


def test_certificates__wrong_ones_are_refused(certificates: services.Certificates, trusting: ssl.SSLContext) -> None:
    for pair, reason in (
        (certificates.expired, "expired"),
        (certificates.stranger, "unable to get local issuer"),
        (certificates.self_signed, "self-signed"),
    ):
        assert reason in _refusal(pair, trusting)


def _google(apis: HttpApis, key: str | None = None) -> dict[str, object]:
    parameters = {"address": "Mountain View", "key": key or apis.google_key}
    answer = httpx.get(f"{apis.google_base_url}/maps/api/geocode/json", params=parameters)
    assert answer.status_code == 200
    body: dict[str, object] = answer.json()
    return body


def _openai(apis: HttpApis, key: str) -> httpx.Response:
    return httpx.get(f"{apis.openai_base_url}/models", headers={"Authorization": f"Bearer {key}"})


def _anthropic(apis: HttpApis, key: str) -> httpx.Response:
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return httpx.get(f"{apis.anthropic_base_url}/v1/models", headers=headers)


def _refusal(pair: services.Pair, client_context: ssl.SSLContext) -> str:
    """Why a client does not accept a server with this certificate; a handshake in memory."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(down, up, server_hostname="localhost")
    server = context.wrap_bio(up, down, server_side=True)
    for side in (client, server):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    with pytest.raises(ssl.SSLCertVerificationError) as refused:
        client.do_handshake()
    return refused.value.verify_message
