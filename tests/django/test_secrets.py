"""Secrets are planted wherever there may be one, and everything that is shown is searched for them."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

import tests.django.settings
from django_lifesigns.engine import get_engine
from tests.django.leaks import OWN
from tests.django.projects import run
from tests.servers import telltale

TOKEN = "s3cr3t-of-a-token-of-ours"


def secret(name: str) -> str:
    return f"s3cr3t-{name}-h8k2"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """{where: what is shown} of a project whose every dependency gives away what it knows."""
    folder = tmp_path_factory.mktemp("project")
    with ExitStack() as stack:
        servers = ("postgres", "redis", "smtp", "mqtt", "http")
        ports = {
            name: stack.enter_context(getattr(telltale, name)(secret(f"from-{name}-server"))).port for name in servers
        }
        done = run(folder, settings(folder, ports), "-W", "ignore::DeprecationWarning", "-m", "tests.django.leaks")
    assert done.returncode == 0, done.stderr
    assert "s3cr3t" not in done.stderr
    return json.loads(done.stdout)


def settings(folder: Path, ports: dict[str, int]) -> dict[str, Any]:
    redis = f"127.0.0.1:{ports['redis']}"
    configured: dict[str, Any] = {
        **{name: getattr(tests.django.settings, name) for name in ("INSTALLED_APPS", "MIDDLEWARE", "TEMPLATES")},
        "STATIC_URL": "static/",
        "ROOT_URLCONF": "tests.django.urls",
        "SECRET_KEY": secret("secret-key"),
        "DATABASES": {
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")},
        },
        "CACHES": {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": f"redis://someone:{secret('redis-url')}@{redis}/1",
            },
            "select2": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": f"redis://{redis}/2",
                "OPTIONS": {"password": secret("redis-option")},
            },
        },
        "CHANNEL_LAYERS": {
            "default": {
                "BACKEND": "channels_redis.core.RedisChannelLayer",
                "CONFIG": {"hosts": [f"redis://:{secret('channels')}@{redis}/3"]},
            }
        },
        "MQTT_CONFIG": {
            "BROKER_ADDRESS": "127.0.0.1",
            "BROKER_PORT": ports["mqtt"],
            "BROKER_USERNAME": "someone",
            "BROKER_PASSWORD": secret("mqtt"),
        },
        "EMAIL_HOST": "127.0.0.1",
        "EMAIL_PORT": ports["smtp"],
        "EMAIL_HOST_USER": "someone",
        "EMAIL_HOST_PASSWORD": secret("smtp"),
        "GOOGLE_MAP_SECRET_KEY": secret("google"),
        "LLM_PROVIDERS": {
            name: {"api_key": secret(name), "base_url": f"http://127.0.0.1:{ports['http']}/v1"}
            for name in ("openai", "anthropic")
        },
        "CELERY_BROKER_URL": f"redis://:{secret('celery')}@{redis}/4",
        "STRIPE_API_KEY": secret("another-setting"),
    }
    servers = {
        "postgres": {
            "kind": "postgres",
            "server": {
                "host": "127.0.0.1",
                "port": ports["postgres"],
                "user": "someone",
                "dbname": "app",
                "password": secret("postgres"),
            },
        },
        "http": {
            "kind": "http",
            "url": f"http://someone:{secret('http-url')}@127.0.0.1:{ports['http']}/?key={secret('http-query')}",
            "headers": {"authorization": f"Bearer {secret('http-header')}"},
        },
        "wrong_kind": {"kind": "http", "url": secret("wrong-url"), "password": secret("wrong-field")},
        "wrong_type": {"kind": "redis", "url": {"password": secret("wrong-type")}},
        "not_imported": f"redis://:{secret('dotted')}@host",
    }
    configured["LIFESIGNS"] = {
        "TOKENS": [TOKEN, secret("second-token")],
        "NETWORKS": [],
        "GOOGLE_MAPS_BASE_URL": f"http://127.0.0.1:{ports['http']}",
        "DEFAULT_TIMEOUT": 3,
        "CHECKS": {
            **servers,
            **{check.__name__: f"tests.django.leaks.{check.__name__}" for check in OWN},
            "with_arguments": {"check": "tests.django.leaks.raises", "arguments": {"password": secret("argument")}},
        },
    }
    # What own checks have to tell: all of it, as it stands in the settings.
    planted = json.dumps(configured).replace(secret("wrong-url"), "a URL that is none")
    return {**configured, "PLANTED": planted}


@pytest.mark.services
def test_secrets__the_servers_were_asked_and_the_checks_ran(shown: Any) -> None:
    report = json.loads(shown["/health/ application/json ['authorization']"].partition("' ")[2])
    statuses = {name: result["status"] for name, result in report["checks"].items()}
    asked = {"redis_connectivity", "default_cache", "select2_cache", "mqtt_broker", "aws_ses", "google_maps_api"}
    asked |= {"openai_api", "anthropic_api", "channel_layer", "task_queue", "postgres", "http"}
    for name in asked | {check.__name__ for check in OWN}:
        assert statuses[name] == "error", (name, report["checks"][name])
    refused = {"mqtt_broker", "aws_ses", "google_maps_api", "openai_api", "anthropic_api", "postgres"}
    refused |= {"redis_connectivity"}
    for name in refused:
        assert report["checks"][name]["error_type"] == "AuthenticationError", report["checks"][name]
    assert "***" in report["checks"]["quotes"]["message"]
    assert "***" in shown["HealthCheckLog"]
    assert len([where for where in shown if where.endswith("/change/")]) > 15


@pytest.mark.services
def test_secrets__are_nowhere(shown: Any) -> None:
    assert len(shown) > 100
    found = {where: _around(text) for where, text in shown.items() if "s3cr3t" in text}
    assert found == {}


def _around(text: str) -> str:
    return text[max(0, text.index("s3cr3t") - 80) :][:160]


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
@pytest.mark.django_db(transaction=True)  # which Django's own system checks of models ask
def test_secrets__in_the_wrong_place(settings: Any, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]) -> None:
    for name, value in wrong.items():
        setattr(settings, name, value)
    messages = "".join(f"{message} {message.hint}" for message in run_checks())
    report = get_engine().run(deadline=0.5)
    assert WRONG not in messages
    assert WRONG not in caplog.text
    assert WRONG not in str(report)
