"""Settings that make no sense, in fresh processes: one check says so, and everything else works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import django
import pytest

from tests.django.projects import migrate, run_text, sqlite

# What Django itself refuses, it may still refuse: then only the probes are requested.
PROGRAM = """
import io, json
import django
django.setup()
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client

found = {"commands": {}, "probes": {}}
for command in COMMANDS:
    call_command(*command.split(), stdout=io.StringIO(), stderr=io.StringIO())
found["ids"] = [message.id for message in run_checks()] if "check" in COMMANDS else []
client = Client(headers={"host": "localhost"})
for path in ("/alive/", "/ready/", "/health/"):
    answer = client.get(path)
    found["probes"][path] = answer.status_code
found["checks"] = {name: result["status"] for name, result in answer.json()["checks"].items()}
print(json.dumps(found))
"""
COMMANDS = ["makemigrations --check --dry-run --verbosity 0", "migrate --verbosity 0"]
LOCAL = "django.core.cache.backends.locmem.LocMemCache"
REDIS = "django.core.cache.backends.redis.RedisCache"
LAYER = "channels.layers.InMemoryChannelLayer"
STRICT = "tests.django.strict_layer.StrictLayer"


def probed(folder: Path, settings: str, *commands: str) -> Any:
    # With all tables already: to make them takes longer than all the rest.
    migrate(folder, {"DATABASES": sqlite(folder)})
    done = run_text(folder, f"DEBUG = False\n{settings}", "-c", f"COMMANDS = {[*commands]}\n{PROGRAM}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (f"CACHES = {{'default': {{'BACKEND': {REDIS!r}, 'LOCATION': Path('/tmp')}}}}", ["redis_connectivity"]),
        (f"CACHES = {{'default': {{'BACKEND': {REDIS!r}, 'LOCATION': None}}}}", ["redis_connectivity"]),
        (f"CACHES = {{'default': {{'BACKEND': {LOCAL!r}, 'LOCATION': Path('x')}}}}", []),
        ("CHANNEL_LAYERS = None", []),
        ("CHANNEL_LAYERS = ['x']", ["channel_layer"]),
        ("CHANNEL_LAYERS = {'default': None}", ["channel_layer"]),
        ("CHANNEL_LAYERS = {'default': {}}", ["channel_layer"]),
        ("CHANNEL_LAYERS = {'default': {'BACKEND': 7}}", ["channel_layer"]),
        ("CHANNEL_LAYERS = {'default': {'BACKEND': 'no.such.Layer'}}", ["channel_layer"]),
        ("CHANNEL_LAYERS = {'default': {'BACKEND': 'tests.django.broken_module.Layer'}}", ["channel_layer"]),
        (f"CHANNEL_LAYERS = {{'default': {{'BACKEND': {LAYER!r}, 'CONFIG': ['x']}}}}", ["channel_layer"]),
        (f"CHANNEL_LAYERS = {{'default': {{'BACKEND': {STRICT!r}, 'CONFIG': {{'capcity': 1}}}}}}", ["channel_layer"]),
        (f"CHANNEL_LAYERS = {{'default': {{'BACKEND': {LAYER!r}, 'CONFIG': {{'capacity': 1}}}}}}", []),
        ("EMAIL_HOST = EMAIL_PORT = EMAIL_HOST_USER = EMAIL_USE_TLS = EMAIL_BACKEND = None", []),
        ("EMAIL_HOST = 's'; EMAIL_PORT = 'x'", ["aws_ses"]),
        ("MQTT_CONFIG = ['x']", ["mqtt_broker"]),
        ("MQTT_CONFIG = {'BROKER_ADDRESS': 'm', 'BROKER_PORT': object()}", ["mqtt_broker"]),
        ("LLM_PROVIDERS = ['x']", ["openai_api", "anthropic_api"]),
        ("LLM_PROVIDERS = {'openai': {'api_key': 'k' * 8, 'base_url': 7}}", ["openai_api"]),
        ("STORAGES = None; MEDIA_ROOT = 7; LOG_DIR = 8; STATIC_ROOT = 9", ["directory_permissions"]),
        ("STORAGES = ['x']", []),
        ("Q_CLUSTER = ['x']; LIFESIGNS['TASK_QUEUE'] = 'django-q2'", ["task_queue"]),
        ("CELERY_BROKER_URL = 7", ["task_queue"]),
        (
            "DATABASES['other'] = {'ENGINE': 'django.db.backends.postgresql', 'HOST': Path('/run'), 'OPTIONS': None}",
            ["database_other"],
        ),
        ("LIFESIGNS = None", []),
    ],
)
def test_odd__one_check_says_so(tmp_path: Path, settings: str, wrong: list[str]) -> None:
    found = probed(tmp_path, f"from pathlib import Path\n{settings}", "check", *COMMANDS)
    assert set(found["ids"]) == ({"lifesigns.W005"} if wrong else set())
    assert found["probes"]["/alive/"] == 200
    assert found["probes"]["/ready/"] in (200, 503)
    assert len(found["checks"]) == 22 + ("database_other" in wrong)
    assert {name for name in wrong if found["checks"][name] != "error"} == set()
    assert found["checks"]["database_connectivity"] == "healthy"
    assert found["checks"]["memory_usage"] != "skipped"


@pytest.mark.parametrize(
    "settings",
    [
        "CACHES = {'default': {}}",
        "CACHES = {'default': None}",
        "CACHES = {'default': {'LOCATION': 'x'}}",
        "CACHES = ['x']",
        f"CACHES = {{'default': {{'BACKEND': {LOCAL!r}, 'OPTIONS': None}}}}",
    ],
)
def test_odd__caches_that_django_checks_refuse(tmp_path: Path, settings: str) -> None:
    found = probed(tmp_path, settings, *COMMANDS)
    assert found["probes"] == {"/alive/": 200, "/ready/": 503, "/health/": 503}
    assert [name for name, status in found["checks"].items() if status == "error"] == ["default_cache"]


@pytest.mark.parametrize("settings", ["SECRET_KEY = ''", "SECRET_KEY = None", "del SECRET_KEY"])
def test_odd__secret_key_of_an_image_build(tmp_path: Path, settings: str) -> None:
    found = probed(tmp_path, settings, "check", *COMMANDS)
    assert found["ids"] == []
    assert found["probes"] == {"/alive/": 200, "/ready/": 200, "/health/": 200}


@pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS came with Django 6.1")
@pytest.mark.parametrize(
    ("mailers", "status"),
    [
        ("{'default': {'OPTIONS': {'host': '127.0.0.1', 'port': 1, 'username': 'u', 'password': 'p'}}}", "error"),
        ("{'default': {'BACKEND': 'django.core.mail.backends.console.EmailBackend'}}", "skipped"),
        ("{'default': {'BACKEND': 'anymail.backends.amazon_ses.EmailBackend'}}", "skipped"),
        ("{'default': {}}", "skipped"),
    ],
)
def test_mailers__right_ones_are_no_problem(tmp_path: Path, mailers: str, status: str) -> None:
    found = probed(tmp_path, f"MAILERS = {mailers}", "check", *COMMANDS)
    assert (found["ids"], found["checks"]["aws_ses"]) == ([], status)
    assert found["probes"]["/ready/"] == 200


@pytest.mark.skipif(django.VERSION < (6, 1), reason="MAILERS came with Django 6.1")
@pytest.mark.parametrize(
    "mailers",
    [
        "['default']",
        "{'default': None}",
        "{'default': 'x'}",
        "{'default': {'BACKEND': 7}}",
        "{'default': {'BACKEND': 'no.such.Backend'}}",
        "{'default': {'OPTIONS': ['x']}}",
        "{'default': {'OPTIONS': {'host': 's', 'port': 'x'}}}",
        "{'default': {'OPTIONS': {'host': 's', 'usrname': 'x'}}}",
        "{'default': {'OPTIONS': {'host': 's', 'use_tls': True, 'use_ssl': True}}}",
    ],
)
def test_mailers__odd_ones_are_a_warning_and_an_error_of_one_check(tmp_path: Path, mailers: str) -> None:
    found = probed(tmp_path, f"MAILERS = {mailers}", "check", *COMMANDS)
    assert set(found["ids"]) == {"lifesigns.W005"}
    assert [name for name, status in found["checks"].items() if status == "error"] == ["aws_ses"]
    assert found["probes"]["/ready/"] == 200
