"""Secrets are planted wherever there may be one, and everything that is shown is searched for them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.core.checks import run_checks

from django_lifesigns.runtime.engine import get_engine
from lifesigns.redaction import redact
from tests.django.indiscreet import OWN
from tests.django.planted import ENCODED, real_settings, secret, telltale_settings
from tests.django.projects import run
from tests.servers import telltale
from tests.services import Stack, cluster, mosquitto, redis

LOCAL = "django.core.cache.backends.locmem.LocMemCache"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """{where: what is shown} of a project whose every dependency gives away what it knows."""
    folder = tmp_path_factory.mktemp("project")
    with ExitStack() as stack:
        servers = ("postgres", "redis", "smtp", "mqtt", "http")
        ports = {
            name: stack.enter_context(getattr(telltale, name)(secret(f"from-{name}-server"))).port for name in servers
        }
        return outputs(folder, telltale_settings(folder, ports))


@pytest.fixture(scope="module")
def shown_with_real_servers(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same of a project on real servers, most of which refuse what they are sent."""
    return outputs(tmp_path_factory.mktemp("project"), real_settings(stack))


def outputs(folder: Path, settings: dict[str, Any]) -> Any:
    done = run(folder, settings, "-W", "ignore::DeprecationWarning", "-m", "tests.django.leaks")
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "standard error": done.stderr}


@pytest.mark.services
def test_secrets__the_servers_were_reached_and_the_checks_ran(shown: Any) -> None:
    report = json.loads(shown["/health/ application/json ['authorization']"].partition("' ")[2])
    statuses = {name: result["status"] for name, result in report["checks"].items()}
    reached = {"redis_connectivity", "default_cache", "select2_cache", "mqtt_broker", "aws_ses", "google_maps_api"}
    reached |= {"openai_api", "anthropic_api", "channel_layer", "task_queue", "postgres", "http"}
    for name in reached | {check.__name__ for check in OWN}:
        assert statuses[name] == "error", (name, report["checks"][name])
    refused = {"mqtt_broker", "aws_ses", "google_maps_api", "openai_api", "anthropic_api", "postgres"}
    refused |= {"redis_connectivity"}
    for name in refused:
        assert report["checks"][name]["error_type"] == "AuthenticationError", report["checks"][name]
    assert "***" in report["checks"]["quotes"]["message"]
    assert "***" in shown["HealthCheckLog"]
    assert len([where for where in shown if where.endswith("/change/")]) > 15
    # Each channel was tried, and refused by a server that quotes what it was sent.
    for channel in ("oncall", "ops", "chat", "bot", "hook"):
        assert f"'channel': '{channel}', 'number'" in shown["incidents"]
    assert "401" in shown["Delivery"]
    assert "['CHANNELS']['wrong']" in shown["check --deploy"]


@pytest.mark.services
def test_secrets__are_nowhere(shown: Any) -> None:
    assert len(shown) > 100
    assert found(shown) == {}


@pytest.mark.services
def test_secrets__real_servers_were_reached(shown_with_real_servers: Any) -> None:
    checks = json.loads(shown_with_real_servers["/health/ application/json ['authorization']"].partition("' ")[2])[
        "checks"
    ]
    refused = {"redis_connectivity", "mqtt_broker", "aws_ses", "google_maps_api", "openai_api", "anthropic_api"}
    refused |= {"postgres", "no_such_role"}
    assert {checks[name].get("error_type") for name in refused} == {"AuthenticationError"}
    assert checks["database_connectivity"]["status"] == "healthy"
    slowest = [statement["query"] for statement in checks["database_performance"]["details"]["slowest"]]
    assert any("pg_sleep" in query for query in slowest)
    assert "invalid input syntax" in checks["database_quotes"]["message"]


@pytest.mark.services
def test_secrets__are_nowhere_with_real_servers(shown_with_real_servers: Any) -> None:
    assert len(shown_with_real_servers) > 100
    own = (cluster.PASSWORD, redis.PASSWORD, mosquitto.PASSWORD)
    assert found(shown_with_real_servers, *own, *map(quote, own)) == {}


def found(shown: Any, *more: str) -> dict[str, str]:
    """Where a secret stands, plainly or as clients encode it, and what stands around it."""
    marks = ("s3cr3t", *ENCODED, *more)
    return {
        where: text[max(0, text.index(mark) - 80) :][:160]
        for where, text in shown.items()
        for mark in marks
        if mark in text
    }


WRONG = "s3cr3t-in-the-wrong-place"


@pytest.mark.parametrize(
    "wrong",
    [
        {"EMAIL_HOST": "mail", "EMAIL_PORT": WRONG},
        {"MQTT_CONFIG": {"BROKER_ADDRESS": "mq", "BROKER_PORT": WRONG}},
        {"MQTT_CONFIG": WRONG},
        {"MQTT_CONFIG": {"BROKER_ADDRESS": "mq", "BROKER_PASSWORD": {WRONG: WRONG}}},
        {"LLM_PROVIDERS": WRONG},
        {"LLM_PROVIDERS": {"openai": WRONG}},
        {"LLM_PROVIDERS": {"openai": {"api_key": "k", "base_url": WRONG}}},
        {"LLM_PROVIDERS": {"openai": {"api_key": "k", "base_url": f"ftp://:{WRONG}@h"}}},
        {"LLM_PROVIDERS": {"openai": {"api_key": f"{WRONG}\n", "base_url": None}}},
        {"GOOGLE_MAP_SECRET_KEY": [WRONG]},
        {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": WRONG}}},
        {
            "CACHES": {
                "default": {
                    "BACKEND": "django.core.cache.backends.redis.RedisCache",
                    "LOCATION": f"redis://:{WRONG}@host:{WRONG}/0",
                }
            }
        },
        {
            "CACHES": {
                "default": {
                    "BACKEND": "django.core.cache.backends.redis.RedisCache",
                    "LOCATION": "redis://host",
                    "OPTIONS": {"password": [WRONG], "other": WRONG},
                }
            }
        },
        {"LIFESIGNS": {"TASK_QUEUE": f"redis://:{WRONG}@host"}},
        {"LIFESIGNS": {"TASK_QUEUE": {"database": f"redis://:{WRONG}@host"}}},
        {"LIFESIGNS": {"CHECKS": {"mine": {"kind": "redis", "url": f"redis://:{WRONG}@host:port"}}}},
        {"LIFESIGNS": {"CHECKS": {"mine": {"kind": "postgres", "server": f"postgresql://u:{WRONG}@host"}}}},
        {"LIFESIGNS": {"CHECKS": {"mine": {"kind": "http", "url": f"https://u:{WRONG}@host:port/"}}}},
        {"LIFESIGNS": {"CHECKS": {"mine": {"check": lambda: True, "breaker": WRONG}}}},
        {"LIFESIGNS": {"CHECKS": {"mine": {"check": lambda: True, "timeout": WRONG}}}},
        {"LIFESIGNS": {"CHECKS": {"mine": {"check": lambda: True, "depends_on": WRONG}}}},
        {"LIFESIGNS": {"CHECKS": {"mine": f"redis://:{WRONG}@host"}}},
    ],
)
@pytest.mark.filterwarnings("ignore:The EMAIL_")  # since Django 6.1
@pytest.mark.django_db(transaction=True)  # which Django's own system checks of models query
def test_secrets__in_the_wrong_place(settings: Any, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]) -> None:
    for name, value in wrong.items():
        setattr(settings, name, value)
    messages = "".join(f"{message} {message.hint}" for message in run_checks())
    report = get_engine().run(deadline=0.5)
    assert WRONG not in messages
    assert WRONG not in caplog.text
    assert WRONG not in str(report)


def test_secrets__that_are_words_mask_no_names(settings: Any) -> None:
    settings.MQTT_CONFIG = {"BROKER_PASSWORD": "django"}
    settings.CACHES = {
        "default": {"BACKEND": LOCAL, "KEY_PREFIX": "x", "OPTIONS": {"password": "b1ue-teapot-of-this-test"}}
    }
    details = get_engine().check("default_cache")["details"]
    assert details["backend"] == LOCAL
    assert redact("says b1ue-teapot-of-this-test") == "says ***"
    # Those of other settings take their place.
    settings.CACHES = {"default": {"BACKEND": LOCAL}}
    get_engine()
    assert redact("says b1ue-teapot-of-this-test") == "says b1ue-teapot-of-this-test"
