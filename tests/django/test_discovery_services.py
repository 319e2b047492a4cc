"""From the settings of brokers, mail servers, APIs and directories to their checks."""

from __future__ import annotations

from typing import Any

import django
import pytest

from django_lifesigns.checks.channels import ChannelRoundTrip
from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.targets.catalogue import CATALOGUE
from lifesigns import specs

SMTP = "django.core.mail.backends.smtp.EmailBackend"
IN_MEMORY_LAYER = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# Django 6.1 says so whenever one of them is set.
pytestmark = pytest.mark.filterwarnings("ignore:The EMAIL_.* setting is deprecated")


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
            specs.Smtp(host="s", port=25, security="none"),
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
            specs.Smtp(host="s", port=587, username="u", password="p", security="starttls", tls=specs.Tls(cert="/c")),
        ),
        (
            "aws_ses",
            {"EMAIL_BACKEND": "django_ses.SESBackend", "EMAIL_HOST": "s", "EMAIL_PORT": 465, "EMAIL_USE_SSL": True},
            specs.Smtp(host="s", port=465, security="tls"),
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
    assert found["aws_ses"].check == specs.Smtp(host="s", port=587, username="u", password="p", security="starttls")


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
