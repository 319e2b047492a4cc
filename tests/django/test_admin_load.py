"""The admin's list of a long history: how many rows PostgreSQL reads for each page, by the plans of its queries."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.django.conftest import NewDatabase
from tests.django.projects import run_json
from tests.django.settings import INSTALLED_APPS, MIDDLEWARE, TEMPLATES

TOTAL = 200_000
BOUND = 2_000
PROGRAM = f"""
import json, re
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_test_environment
from django.utils import timezone
from benches.histories.data import CHECKS, DAYS, FILL, RARE
from django_lifesigns.history import search
from django_lifesigns.models import HealthCheckLog, ServiceAvailability

setup_test_environment()
search.ROWS = {BOUND}
call_command("migrate", verbosity=0)
with connection.cursor() as cursor:
    cursor.execute(FILL.format(rows={TOTAL}, days=DAYS, checks=CHECKS))
    cursor.execute(RARE.format(rows={TOTAL}))
    cursor.execute("VACUUM ANALYZE core_health_check_log")
names = [f"check_{{number}}" for number in range(CHECKS)]
ServiceAvailability.objects.record((name, "healthy", timezone.now()) for name in [*names, "gone"])
client = Client(headers={{"host": "localhost"}})
client.force_login(User.objects.create_superuser("someone"))

def read(node):
    \"\"\"Rows that scans of a plan have read, with those that they dropped.\"\"\"
    rows = sum(map(read, node.get("Plans", ())))
    if "Relation Name" in node and "Bitmap" not in node["Node Type"] or "Bitmap Heap" in node["Node Type"]:
        dropped = node.get("Rows Removed by Filter", 0)
        rows += (node["Actual Rows"] + dropped) * node["Actual Loops"]
    return rows

def visit(page):
    with CaptureQueriesContext(connection) as captured:
        response = client.get(f"/admin/lifesigns/healthchecklog/{{page}}")
    assert response.status_code == 200, (page, response.status_code)
    rows = 0
    for query in captured.captured_queries:
        if "core_health_check_log" in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + query["sql"].replace("%", "%%"), ())
                rows = max(rows, read(cursor.fetchone()[0][0]["Plan"]))
    found = response.context.get("cl")
    return rows, found and len(found.result_list), response

last = HealthCheckLog.objects.order_by("-checked_at")[50]
sweep = re.search('href="([^"]+)" title="' + str(last.correlation_id), visit("")[2].content.decode()).group(1)
pages = [
    "", "?p=3", "?o=0", "?o=-0", "?status__exact=error", "?check=check_7", "?check=gone", "?q=check_7", "?q=gone",
    "?q=words", "?q=nowhere", f"?q={{last.correlation_id}}", f"?checked_at__year={{last.checked_at.year}}",
    "?_facets=True", sweep.rpartition("/")[2].replace("&amp;", "&"), f"{{last.pk}}/change/",
]
print(json.dumps({{page: visit(page)[:2] for page in pages}}))
"""


@pytest.mark.parametrize("new_database", [pytest.param("postgresql", marks=pytest.mark.services)], indirect=True)
def test_admin__no_page_reads_a_long_history(new_database: NewDatabase, tmp_path: Path) -> None:
    settings = {
        "DATABASES": {"default": new_database()},
        "INSTALLED_APPS": INSTALLED_APPS,
        "MIDDLEWARE": MIDDLEWARE,
        "TEMPLATES": TEMPLATES,
        "ROOT_URLCONF": "tests.django.urls",
        "STATIC_URL": "static/",
    }
    found = run_json(tmp_path, settings, PROGRAM)
    for page, (rows, shown) in found.items():
        print(f"{rows:8} rows read, {shown} shown: {page}")
    assert {page: rows for page, (rows, _) in found.items() if rows > 2 * BOUND} == {}
    assert all(shown for page, (_, shown) in found.items() if "nowhere" not in page and "change" not in page)
    assert found["?q=gone"] == found["?check=gone"]
    assert found["?q=gone"][1] == found["?check=gone"][1] == 100
