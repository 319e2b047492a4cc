"""The 22 checks against real services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from django_lifesigns.targets.catalogue import CATALOGUE
from tests.django.projects import ROOT, run, run_json, stack_settings
from tests.services import Stack

MANAGE = str(ROOT / "examples/demo/manage.py")
SELECT2 = """
import json
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().check("select2_cache")))
"""


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {name: result["status"] for name, result in report["checks"].items()}


def test_sweep__all_healthy_from_everywhere(stack: Stack, tmp_path: Path) -> None:
    done = run(tmp_path, stack_settings(stack), "-W", "ignore::DeprecationWarning", "-m", "tests.django.sweeps")
    assert done.returncode == 0, done.stderr
    reports = json.loads(done.stdout)
    assert reports.keys() == {"main", "thread", "async view"}
    for report in reports.values():
        assert statuses(report) == dict.fromkeys(CATALOGUE, "healthy"), report
        assert report["summary"]["total_checks"] == 22
        assert report["summary"]["health_percentage"] == 100


def test_command__on_the_stack(stack: Stack, tmp_path: Path) -> None:
    done = run(tmp_path, stack_settings(stack), MANAGE, "health_check", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert statuses(json.loads(done.stdout)) == dict.fromkeys(CATALOGUE, "healthy")


def test_sweep__required_all_on_the_stack(stack: Stack, tmp_path: Path) -> None:
    settings = stack_settings(stack, REQUIRED="all")
    done = run(tmp_path, settings, MANAGE, "health_check", "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


def test_command__secrets_are_not_shown(stack: Stack, tmp_path: Path) -> None:
    settings = stack_settings(stack)
    done = run(tmp_path, settings, MANAGE, "health_check", "--format", "json")
    secrets = [
        settings["DATABASES"]["default"]["PASSWORD"],
        settings["GOOGLE_MAP_SECRET_KEY"],
        *(provider["api_key"] for provider in settings["LLM_PROVIDERS"].values()),
        settings["MQTT_CONFIG"]["BROKER_PASSWORD"],
        settings["EMAIL_HOST_PASSWORD"],
    ]
    assert all(secrets)
    assert not [secret for secret in secrets if secret in done.stdout + done.stderr]


@pytest.mark.parametrize(
    ("views", "status"), [(["filled"], "healthy"), (["filled", "empty"], "degraded"), (["missing"], "degraded")]
)
def test_select2__materialized_views(stack: Stack, tmp_path: Path, views: list[str], status: str) -> None:
    with psycopg.connect(stack.postgres.dsn, autocommit=True) as connection:
        connection.execute("CREATE MATERIALIZED VIEW IF NOT EXISTS filled AS SELECT 1")
        connection.execute("CREATE MATERIALIZED VIEW IF NOT EXISTS empty AS SELECT 1 WITH NO DATA")
    result = run_json(tmp_path, stack_settings(stack, MATERIALIZED_VIEWS=views), SELECT2)
    assert result["status"] == status
    assert result["details"]["read_write_test"] == "passed"
    assert ("using fallback queries" in result["details"].get("note", "")) == (status == "degraded")
