"""From the settings of brokers, mail servers, APIs and directories to their checks."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.utils import DNS_NAME

from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import specs

SMTP = "django.core.mail.backends.smtp.EmailBackend"
LOGIN = {"EMAIL_HOST_USER": "u", "EMAIL_HOST_PASSWORD": "hunter2"}
ANYMAIL = "anymail.backends.amazon_ses.EmailBackend"
NAME = str(DNS_NAME)
IN_MEMORY_LAYER = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# Django 6.1 says so whenever one of them is set.
pytestmark = pytest.mark.filterwarnings("ignore:The EMAIL_.* setting is deprecated")


class OwnSmtp(EmailBackend):
    """Of the project."""


class OwnApi(BaseEmailBackend):
    """Of the project."""


def smtp(**fields: Any) -> specs.Smtp:
    return specs.Smtp(local_hostname=NAME, **fields)


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("channel_layer", {"CHANNEL_LAYERS": IN_MEMORY_LAYER}, ChannelRoundTrip(timeout=5.0)),
        ("mqtt_broker", {"MQTT_CONFIG": {"BROKER_ADDRESS": "m"}}, specs.Mqtt(host="m")),
        (
            "mqtt_broker",
            {
                "MQTT_CONFIG": {
                    "BROKER_ADDRESS": "m",
                    "BROKER_PORT": "8884",
                    "BROKER_USERNAME": "u",
                    "BROKER_PASSWORD": "p",
                    "BROKER_USE_TLS": True,
                }
            },
            specs.Mqtt(host="m", port=8884, username="u", password="p", tls=specs.Tls()),
        ),
        (
            "aws_ses",
            {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "s"},
            smtp(host="s", port=25, security="none"),
        ),
        *(
            (
                "mqtt_broker",
                {"MQTT_CONFIG": {"BROKER_ADDRESS": "m", **given}},
                specs.Mqtt(host="m", **expected),
            )
            for given, expected in (
                ({"CA_CERTS": Path("/ca")}, {"tls": specs.Tls(ca="/ca")}),
                (
                    {"CA_CERTS": "/ca", "CERTFILE": "/c", "KEYFILE": "/k", "TRANSPORT": "tcp"},
                    {"tls": specs.Tls(ca="/ca", cert="/c", key="/k")},
                ),
                ({"CA_CERTS": "/ca", "BROKER_USE_TLS": False}, {}),
                ({"BROKER_USE_TLS": "False"}, {}),
                ({"BROKER_USE_TLS": "true"}, {"tls": specs.Tls()}),
                ({"BROKER_USERNAME": 7, "BROKER_PASSWORD": 8}, {"username": "7", "password": "8"}),
                ({"TRANSPORT": "websockets", "PATH": "/ws"}, {"transport": "websockets", "path": "/ws"}),
                ({"TRANSPORT": "wss"}, {"transport": "websockets", "tls": specs.Tls()}),
                (
                    {"CERTFILE": "/c", "KEYFILE": "/k", "KEYFILE_PASSWORD": "p"},
                    {"tls": specs.Tls(cert="/c", key="/k", key_password="p")},
                ),
                (
                    {"BROKER_PORT": 443, "BROKER_USE_TLS": True, "ALPN_PROTOCOLS": ["mqtt"]},
                    {"port": 443, "tls": specs.Tls(), "alpn": ["mqtt"]},
                ),
            )
        ),
        (
            "aws_ses",
            {
                "EMAIL_BACKEND": SMTP,
                "EMAIL_HOST": "s",
                "EMAIL_PORT": 587,
                "EMAIL_HOST_USER": "u",
                "EMAIL_HOST_PASSWORD": "p",
                "EMAIL_USE_TLS": True,
                "EMAIL_SSL_CERTFILE": "/c",
            },
            smtp(host="s", port=587, username="u", password="p", security="starttls", tls=specs.Tls(cert="/c")),
        ),
        (
            "aws_ses",
            {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "s", "EMAIL_PORT": "465", "EMAIL_USE_SSL": "1", "EMAIL_USE_TLS": ""},
            smtp(host="s", port=465, security="tls"),
        ),
        (
            "aws_ses",
            {"EMAIL_BACKEND": f"{__name__}.OwnSmtp", "EMAIL_HOST": "s"},
            smtp(host="s", port=25, security="none"),
        ),
        *(
            ("aws_ses", {"EMAIL_HOST": "s", **wrapped}, smtp(host="s", port=25, security="none"))
            for wrapped in (
                {"EMAIL_BACKEND": "post_office.EmailBackend"},
                {"EMAIL_BACKEND": "post_office.EmailBackend", "POST_OFFICE": {"BACKENDS": {"default": SMTP}}},
                {"EMAIL_BACKEND": "djcelery_email.backends.CeleryEmailBackend"},
                {"EMAIL_BACKEND": "djcelery_email.backends.CeleryEmailBackend", "CELERY_EMAIL_BACKEND": SMTP},
            )
        ),
        ("google_maps_api", {"GOOGLE_MAP_SECRET_KEY": "k"}, specs.GoogleMaps(api_key="k")),
        (
            "google_maps_api",
            {"GOOGLE_MAP_SECRET_KEY": "k", "LIFESIGNS": {"GOOGLE_MAPS_BASE_URL": "https://m"}},
            specs.GoogleMaps(api_key="k", base_url="https://m"),
        ),
        (
            "openai_api",
            {"LLM_PROVIDERS": {"openai": {"api_key": "k", "base_url": "https://o/v1"}}},
            specs.OpenAI(api_key="k", base_url="https://o/v1"),
        ),
        ("anthropic_api", {"LLM_PROVIDERS": {"anthropic": {"api_key": "k"}}}, specs.Anthropic(api_key="k")),
        ("disk_space", {}, specs.Disk(paths=["/", "/var/log"])),
        ("disk_space", {"MEDIA_ROOT": "/media"}, specs.Disk(paths=["/", "/var/log", "/media"])),
        ("memory_usage", {}, specs.Memory()),
        ("cpu_load", {"LIFESIGNS": {}}, specs.Cpu()),
    ],
)
def test_discover__target(discovered: Any, name: str, given: Any, expected: object) -> None:
    found, problems = discovered(**given)
    assert problems == []
    assert found[name].check == expected


@pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS came with Django 6.1")
def test_discover__mailers(discovered: Any) -> None:
    options = {"host": "s", "port": 587, "username": "u", "password": "p", "use_tls": True}
    found, problems = discovered(MAILERS={"default": {"BACKEND": SMTP, "OPTIONS": options}})
    assert problems == []
    assert found["aws_ses"].check == smtp(host="s", port=587, username="u", password="p", security="starttls")


@pytest.mark.parametrize(
    ("name", "given", "setting"),
    [
        ("channel_layer", {}, "CHANNEL_LAYERS"),
        ("channel_layer", {"CHANNEL_LAYERS": {}}, "CHANNEL_LAYERS"),
        ("mqtt_broker", {}, "MQTT_CONFIG"),
        ("mqtt_broker", {"MQTT_CONFIG": {"BROKER_PORT": 1883}}, "BROKER_ADDRESS"),
        ("aws_ses", {"EMAIL_BACKEND": SMTP}, "EMAIL_HOST"),
        (
            "aws_ses",
            {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend", "EMAIL_HOST": "s"},
            "EMAIL_HOST",
        ),
        ("aws_ses", {"EMAIL_BACKEND": "post_office.EmailBackend"}, "EMAIL_HOST"),
        *(
            ("aws_ses", {"EMAIL_HOST": "left-over", **given}, "through an API")
            for given in (
                {"EMAIL_BACKEND": ANYMAIL},
                {"EMAIL_BACKEND": ANYMAIL, "LIFESIGNS": {"REQUIRED": "all"}},
                {"EMAIL_BACKEND": "django_ses.SESBackend"},
                {"EMAIL_BACKEND": f"{__name__}.OwnApi"},
                {"EMAIL_BACKEND": "post_office.EmailBackend", "POST_OFFICE": {"BACKENDS": {"default": ANYMAIL}}},
                {"EMAIL_BACKEND": "djcelery_email.backends.CeleryEmailBackend", "CELERY_EMAIL_BACKEND": ANYMAIL},
            )
        ),
        ("google_maps_api", {}, "GOOGLE_MAP_SECRET_KEY"),
        ("openai_api", {}, "LLM_PROVIDERS['openai']"),
        ("anthropic_api", {"LLM_PROVIDERS": {"openai": {"api_key": "k"}}}, "LLM_PROVIDERS['anthropic']"),
        ("directory_permissions", {}, "MEDIA_ROOT"),
    ],
)
def test_discover__no_target(discovered: Any, name: str, given: Any, setting: str) -> None:
    found, problems = discovered(**given)
    assert problems == []
    assert isinstance(found[name].check, specs.Skipped)
    assert setting in found[name].check.reason


@pytest.mark.parametrize(
    ("given", "alpn"),
    [
        ({"BROKER_PORT": 443}, ["x-amzn-mqtt-ca"]),
        ({"BROKER_PORT": 8883}, None),
        ({"BROKER_PORT": 443, "TRANSPORT": "websockets"}, None),
        ({"BROKER_PORT": 443, "ALPN_PROTOCOLS": []}, []),
    ],
)
def test_mqtt__aws_iot_on_the_port_of_https(discovered: Any, given: Any, alpn: list[str] | None) -> None:
    address = "a1b2-ats.iot.eu-central-1.amazonaws.com"
    found, problems = discovered(MQTT_CONFIG={"BROKER_ADDRESS": address, "CA_CERTS": "/ca", **given})
    assert problems == []
    assert found["mqtt_broker"].check.alpn == alpn


def test_mqtt__path_without_a_websocket(discovered: Any) -> None:
    found, [problem] = discovered(MQTT_CONFIG={"BROKER_ADDRESS": "m", "PATH": "/ws"})
    assert "MQTT_CONFIG['PATH']" in problem.message
    assert found["mqtt_broker"].check == specs.Mqtt(host="m")


@pytest.mark.parametrize(
    ("name", "given", "setting"),
    [
        ("mqtt_broker", {"MQTT_CONFIG": "hunter2"}, "MQTT_CONFIG"),
        ("mqtt_broker", {"MQTT_CONFIG": {"BROKER_ADDRESS": "m", "BROKER_PORT": "hunter2"}}, "BROKER_PORT"),
        ("aws_ses", {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "s", "EMAIL_PORT": "hunter2"}, "EMAIL_HOST"),
        (
            "aws_ses",
            {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "s", "EMAIL_USE_TLS": True, "EMAIL_USE_SSL": True},
            "EMAIL_USE_SSL",
        ),
        # Django asks whether they are true, and "0" is.
        (
            "aws_ses",
            {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "s", "EMAIL_USE_TLS": "0", "EMAIL_USE_SSL": "1"},
            "EMAIL_USE_SSL",
        ),
        ("aws_ses", {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "s", "EMAIL_PORT": "465\n"}, "port must be a whole number"),
        ("aws_ses", {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "s", "EMAIL_TIMEOUT": "hunter2"}, "EMAIL_TIMEOUT"),
        ("aws_ses", {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "s", "EMAIL_TIMEOUT": 0}, "EMAIL_TIMEOUT"),
        ("aws_ses", {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "", **LOGIN}, "the host (EMAIL_HOST) is empty"),
        (
            "aws_ses",
            {"EMAIL_BACKEND": SMTP, "EMAIL_HOST": "s", **LOGIN, "EMAIL_HOST_PASSWORD": "hunter2\u00e4"},
            "a password in ASCII only",
        ),
        ("aws_ses", {"EMAIL_BACKEND": "no.such.Backend", "EMAIL_HOST": "s"}, "no.such.Backend"),
        ("mqtt_broker", {"MQTT_CONFIG": {"BROKER_ADDRESS": "m", "TRANSPORT": "udp"}}, "TRANSPORT"),
        ("mqtt_broker", {"MQTT_CONFIG": {"BROKER_ADDRESS": "m", "ALPN_PROTOCOLS": "mqtt"}}, "ALPN_PROTOCOLS"),
        ("openai_api", {"LLM_PROVIDERS": {"openai": "hunter2"}}, "LLM_PROVIDERS"),
    ],
)
def test_discover__wrong_target(discovered: Any, name: str, given: Any, setting: str) -> None:
    found, problems = discovered(**given)
    assert "W005" in {problem.id for problem in problems}
    check = found[name].check
    assert isinstance(check, FixedResult)
    assert check.status == "error"
    assert setting in check.message
    assert "hunter2" not in check.message


def test_discover__how_the_22_are_run(discovered: Any) -> None:
    found, _ = discovered()
    assert list(found) == list(CATALOGUE)
    critical = [name for name, check in found.items() if check.options["critical"]]
    assert critical == list(CATALOGUE)[:8]
    timeouts = {name: check.options["timeout"] for name, check in found.items() if check.options["timeout"]}
    assert timeouts == {"database_connectivity": 10, "database_performance": 10, "mqtt_broker": 3}
    waits = {name: check.options["breaker"].wait for name, check in found.items() if check.options["breaker"]}
    assert waits == {"mqtt_broker": 30, "aws_ses": 60, "google_maps_api": 60, "openai_api": 60, "anthropic_api": 60}
    assert {check.options["breaker"].failures for check in found.values() if check.options["breaker"]} == {3}


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ({"EMAIL_PORT": 465, "EMAIL_USE_TLS": True}, "EMAIL_USE_SSL"),
        ({"EMAIL_PORT": 2465, "EMAIL_USE_TLS": True}, "EMAIL_USE_SSL"),
        ({"EMAIL_PORT": 587, "EMAIL_USE_SSL": True}, "EMAIL_USE_TLS"),
        ({"EMAIL_PORT": 587, "EMAIL_USE_TLS": "False"}, "True or False"),
    ],
)
def test_discover__mail_settings_of_which_tls_is_hardly_meant(discovered: Any, given: Any, right: str) -> None:
    found, [problem] = discovered(EMAIL_BACKEND=SMTP, EMAIL_HOST="s", **given)
    assert problem.id == "W002"
    assert problem.hint.startswith(f"Use {right}")
    assert isinstance(found["aws_ses"].check, specs.Smtp)


def test_discover__mqtt_keys_that_are_not_known(discovered: Any) -> None:
    found, [problem] = discovered(MQTT_CONFIG={"BROKER_ADDRESS": "m", "CA_CERT": "hunter2", "KEEPALIVE": 60})
    assert problem.id == "W002"
    assert "'CA_CERT'" in problem.message
    assert problem.hint == "Did you mean 'CA_CERTS'?"
    assert found["mqtt_broker"].check == specs.Mqtt(host="m")


def test_greeting__of_a_host_whose_name_cannot_be_looked_up(discovered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()

    def look_up() -> str:
        released.wait(10)
        raise OSError("no such name")

    monkeypatch.setattr(socket, "getfqdn", look_up)
    monkeypatch.setattr(socket, "gethostname", lambda: "short")
    monkeypatch.delattr(DNS_NAME, "_fqdn", raising=False)
    started = time.monotonic()
    check = discovered(EMAIL_BACKEND=SMTP, EMAIL_HOST="s")[0]["aws_ses"].check
    assert time.monotonic() - started < 5
    released.set()
    assert check.local_hostname == "short"


def test_greeting__is_that_of_django(discovered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getfqdn", lambda: "mail.example.org")
    monkeypatch.delattr(DNS_NAME, "_fqdn", raising=False)
    assert discovered(EMAIL_BACKEND=SMTP, EMAIL_HOST="s")[0]["aws_ses"].check.local_hostname == "mail.example.org"
    assert str(DNS_NAME) == "mail.example.org"
    monkeypatch.setattr(DNS_NAME, "_fqdn", "kept.example.org")
    lifesigns = {"CHECKS": {"aws_ses": {"local_hostname": "mine.example.org"}}}
    assert discovered()[0]["aws_ses"].check.local_hostname == "kept.example.org"
    assert discovered(LIFESIGNS=lifesigns)[0]["aws_ses"].check.local_hostname == "mine.example.org"
