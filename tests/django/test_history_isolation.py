"""A project's tests: nothing is recorded or read beside the transaction of a test, and nothing in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.django.conftest import NewDatabase
from tests.django.projects import run
from tests.django.settings import INSTALLED_APPS, MIDDLEWARE, TEMPLATES

TESTS = """
import threading
import time

from django.db import connection
from django.test import SimpleTestCase, TestCase, TransactionTestCase
from django.test.utils import CaptureQueriesContext

from django_lifesigns.history import recorder
from django_lifesigns.models import AlertThreshold, HealthCheckLog, ServiceAvailability
from django_lifesigns.runtime import worker
from django_lifesigns.service import HealthCheckService


class Recording:
    def report(self):
        return self.client.get("/health/detailed/", headers={"host": "localhost"}).json()

    def test_first(self):
        self.assertFalse(HealthCheckLog.objects.exists())
        self.report()
        self.assertTrue(HealthCheckLog.objects.filter(check_name="default_cache").exists())
        self.assertTrue(ServiceAvailability.objects.filter(service_name="default_cache").exists())

    test_second = test_first  # the same results are known to the engine, and new to this test

    def test_each_result_once(self):
        for _ in range(3):
            self.report()
        self.assertEqual(HealthCheckLog.objects.filter(check_name="default_cache").count(), 1)

    def test_read_what_the_test_wrote(self):
        HealthCheckLog.log_check("mine", {"status": "healthy", "timestamp": None})
        ServiceAvailability.objects.create(service_name="mine")
        found = self.report()
        self.assertIn("mine", found["history"])
        self.assertIn("mine", found["service_availability"])

    def test_thresholds_of_the_test_govern(self):
        status = lambda: HealthCheckService().run_all_checks()["checks"]["disk_space"]["status"]
        self.assertEqual(status(), "healthy")
        AlertThreshold.objects.create(metric_type="disk_usage", alert_level="warning", threshold_value=0)
        self.assertEqual(status(), "degraded")

    def test_with_the_connection_of_the_test(self):
        with CaptureQueriesContext(connection) as queries:
            self.report()
        self.assertTrue(any("core_health_check_log" in query["sql"] for query in queries))
        self.assertEqual(recorder.waiting(), 0)

    def test_worker_records_nothing_in_the_background(self):
        worker.start(probes=False)
        time.sleep(2)
        self.assertFalse(HealthCheckLog.objects.exists())


class InTransaction(Recording, TestCase):
    pass


class Truncating(Recording, TransactionTestCase):
    pass


class WithoutDatabase(SimpleTestCase):
    def test_health_is_answered(self):
        response = self.client.get("/health/detailed/", headers={"host": "localhost"})
        self.assertEqual(response.status_code, 200)
        self.assertEqual(recorder.waiting(), 0)


class Last(TransactionTestCase):
    def test_nothing_is_left(self):
        self.assertFalse(HealthCheckLog.objects.exists())
"""


@pytest.mark.services
def test_tests_of_a_project_see_their_own_history(new_database: NewDatabase, postgres: Any, tmp_path: Path) -> None:
    postgres.sql("ALTER ROLE app CREATEDB")
    (tmp_path / "tests_of_the_project.py").write_text(TESTS)
    database = new_database()
    if "sqlite" not in database["ENGINE"]:
        database["TEST"] = {"NAME": f"test_{uuid4().hex}"}
    never = {"degraded_above": 100, "error_above": 100}
    settings = {
        "DATABASES": {"default": database},
        "INSTALLED_APPS": INSTALLED_APPS,
        "MIDDLEWARE": MIDDLEWARE,
        "TEMPLATES": TEMPLATES,
        "LIFESIGNS": {"BACKGROUND": True, "NETWORKS": ["127.0.0.1"], "CHECKS": {"disk_space": {"thresholds": never}}},
    }
    done = run(tmp_path, settings, "-W", "ignore", "-m", "django", "test", "tests_of_the_project")
    assert done.returncode == 0, done.stderr
    assert "Ran 16 tests" in done.stderr
