"""django-health-check 4 and this app in one project, as while probes are moved from one to the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.django.projects import run_text

pytest.importorskip("health_check")

URLS = """
from django.urls import include, path
from health_check.views import HealthCheckView

checks = ["health_check.checks.Cache", "health_check.checks.Database"]
urlpatterns = [path("ht/", HealthCheckView.as_view(checks=checks)), path("", include("django_lifesigns.urls"))]
"""
PROGRAM = """
import json
import django
django.setup()
from django.core.management import get_commands
from django.test import Client
client = Client(headers={"host": "localhost"})
codes = {path: client.get(path).status_code for path in ("/ht/?format=json", "/alive/", "/ready/")}
print(json.dumps({"codes": codes, "command": get_commands()["health_check"]}))
"""


@pytest.mark.parametrize("first", ["django_lifesigns", "health_check"])
def test_both_answer__and_the_first_app_has_the_command(tmp_path: Path, first: str) -> None:
    (tmp_path / "both_urls.py").write_text(URLS)
    settings = f"""
INSTALLED_APPS = [{first!r}, *(app for app in [*INSTALLED_APPS, "health_check"] if app != {first!r})]
ROOT_URLCONF = "both_urls"
LIFESIGNS.update(DISABLED=["cpu_load", "memory_usage", "disk_space"], READY_BUDGET=20)
"""
    done = run_text(tmp_path, settings, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == {"codes": {"/ht/?format=json": 200, "/alive/": 200, "/ready/": 200}, "command": first}
