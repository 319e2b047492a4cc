"""The dashboard's views: who sees them, what they answer, with how many queries, and what an outage does to them."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints, is_typeddict

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path

from django_lifesigns.alerts.exchange import exchange
from django_lifesigns.dashboard import history, reading, shapes
from django_lifesigns.dashboard.actions import PERMISSIONS
from django_lifesigns.dashboard.reading import History
from django_lifesigns.dashboard.strips import DAYS, Strip, first_day
from django_lifesigns.history.objectives import budget
from django_lifesigns.history.rollups.periods import DAY
from django_lifesigns.runtime.engine import get_engine
from django_lifesigns.settings.project import project_name
from tests.django.conftest import NewDatabase
from tests.django.dashboards import seed
from tests.django.incidents import incident
from tests.django.projects import ROOT, migrate, run_json, sqlite
from tests.django.serving import GUNICORN, answers, send_request, serving
from tests.django.settings import INSTALLED_APPS, MIDDLEWARE
from tests.services import Postgres, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "a-token-of-some-length"
HOSTILE = "<script>alert(1)</script> down"
URL = "/health/dashboard/"
MOST_QUERIES = 8
MOST_QUERIES_OF_A_CHECK = 12
numbers = count()


class Runs:
    """Checks that count how often they run."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> dict[str, object]:
        self.count += 1
        return {"status": "error", "message": HOSTILE, "details": {"password": "hunter2"}}


@pytest.fixture
def runs() -> Runs:
    return Runs()


@pytest.fixture(autouse=True)
def lifesigns(settings: Any, runs: Runs) -> Any:
    def configure(**lifesigns: Any) -> None:
        checks = {
            "mine": {"check": runs, "runbook": "https://wiki.example/mine", "breaker": {"failures": 9}},
            "child": {"check": lambda: True, "depends_on": ["mine"]},
            "well": lambda: True,
        }
        settings.LIFESIGNS = {
            "TOKENS": [TOKEN],
            "CHECKS": checks,
            "DISABLED": ["cpu_load", "memory_usage", "disk_space"],
            **lifesigns,
        }

    configure()
    return configure


@pytest.fixture
def known() -> Client:
    return Client(headers={"authorization": f"Bearer {TOKEN}"})


def staff(*permissions: str, name: str = "ann", superuser: bool = False, **more: Any) -> Client:
    user = User.objects.create_user(name, is_staff=True, is_superuser=superuser)
    codenames = [permission.partition(".")[2] for permission in permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client(**more)
    client.force_login(user)
    return client


def data(client: Client, url: str = URL) -> Any:
    response = client.get(url, {"format": "json"})
    assert response.status_code == 200, response.content
    return response.json()


def assert_shaped(value: Any, shape: Any) -> None:
    """AssertionError unless a dict has the keys of a TypedDict, and so have those in it."""
    hints = get_type_hints(shape)
    assert value.keys() == hints.keys(), shape
    for key, hint in hints.items():
        inner = [one for one in (hint, *getattr(hint, "__args__", ())) if is_typeddict(one)]
        for entry in value[key] if isinstance(value[key], list) else [value[key]]:
            if inner and entry is not None:
                assert_shaped(entry, inner[0])


@pytest.mark.parametrize("url", [URL, f"{URL}mine/"])
def test_access__as_details(known: Client, lifesigns: Any, url: str) -> None:
    get_engine().run()
    refused = Client().get(url)
    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Bearer")
    assert b"alert" not in refused.content
    assert Client().get(url, {"format": "json"}).json()["status"] == "unauthorized"
    visitor = Client()
    visitor.force_login(User.objects.create_user("visitor"))
    assert visitor.get(url).status_code == 401
    assert known.get(url).status_code == staff().get(url).status_code == 200
    lifesigns(SHOW_DETAILS="always")
    page = Client().get(url)
    assert page.status_code == 200
    assert b"<form" not in page.content
    lifesigns(SHOW_DETAILS="never")
    assert known.get(url).status_code == 401


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
@pytest.mark.parametrize("middleware", [[], ["django_lifesigns.middleware.ProbeMiddleware"]], ids=["view", "first"])
def test_dashboard__runs_nothing_and_shows_what_is_known(
    settings: Any, runs: Runs, kind: str, middleware: list[str]
) -> None:
    settings.MIDDLEWARE = [*middleware, *settings.MIDDLEWARE]

    def get(url: str) -> Any:
        headers = {"authorization": f"Bearer {TOKEN}"}
        if kind == "wsgi":
            return Client(headers=headers).get(url)
        return asyncio.run(AsyncClient().get(url, headers=headers))

    before = get(f"{URL}?format=json").json()
    assert runs.count == 0
    assert {check["status"] for check in before["checks"]} <= {"unknown", "skipped"}
    get_engine().run()
    found = get(f"{URL}?format=json").json()
    assert (runs.count, found["status"]) == (1, "unhealthy")
    mine, child = found["checks"][:2]
    assert (mine["name"], mine["status"], mine["blocks"]) == ("mine", "error", ["child"])
    assert (child["name"], child["blocked_by"]) == ("child", "mine")
    page = get(URL)
    text = page.content.decode()
    assert page["Content-Type"] == "text/html; charset=utf-8"
    assert "&lt;script&gt;alert(1)&lt;/script&gt; down" in text
    assert "<script>" not in text
    assert "style=" not in text
    assert page["Cache-Control"] == "no-store"
    assert page["Vary"] == "Accept, Authorization, Cookie, Accept-Encoding"
    assert "default-src 'none'" in page["Content-Security-Policy"]
    assert runs.count == 1


def test_json__has_the_documented_shape(known: Client, lifesigns: Any) -> None:
    lifesigns(OBJECTIVES={"mine": {"target": 99.9}}, ALERTS={"CHANNELS": {}})
    exchange([incident(check="mine")], [], application=project_name(), instance="here")
    get_engine().run()
    seed(["mine", "well"])
    found = data(known)
    assert_shaped(found, shapes.DashboardData)
    mine = next(check for check in found["checks"] if check["name"] == "mine")
    assert len(mine["strip"]["states"]) == 90
    assert mine["objective"]["sentence"]
    assert [each["check"] for each in found["incidents"]] == ["mine"]
    detail = data(known, f"{URL}mine/")
    assert_shaped(detail, shapes.CheckData)
    assert [each["window"] for each in detail["durations"]] == ["24h", "7d", "30d"]
    assert detail["durations"][0]["runs"] >= 100
    assert detail["incidents"][0]["timeline"][0]["kind"] == "triggered"
    assert detail["configuration"]["runbook"] == "https://wiki.example/mine"
    assert "hunter2" not in json.dumps([found, detail])


def test_objective__same_budget_on_the_page_and_burn_rates_in_json(known: Client, lifesigns: Any) -> None:
    """Read for the page first, which needs no burn rates: JSON does not take that for all."""
    lifesigns(OBJECTIVES={"mine": {"target": 99.9}, "well": {"target": 99.9}})
    get_engine().run()
    seed(["mine", "well"])
    page = known.get(URL).content.decode()
    for check in data(known)["checks"]:
        if check["name"] in ("mine", "well"):
            assert check["objective"]["sentence"].partition(". ")[0] in page
            assert check["objective"]["burn_rates"].keys() == budget.WINDOWS.keys()
            assert check["objective"]["burn_rates"]["1d"] is not None


def test_json__not_modified_until_something_is_found_anew(known: Client) -> None:
    get_engine().run()
    first = known.get(URL, {"format": "json"})
    again = known.get(URL, {"format": "json"}, headers={"if-none-match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    get_engine().run(refresh=True)
    anew = known.get(URL, {"format": "json"}, headers={"if-none-match": first["ETag"]})
    assert anew.status_code == 200
    assert anew.json()["revision"] == first.json()["revision"]


@pytest.mark.parametrize("form", ["json", "html"])
def test_answer__is_compressed_for_those_that_take_that(known: Client, form: str) -> None:
    get_engine().run()
    plain = known.get(URL, {"format": form})
    small = known.get(URL, {"format": form}, headers={"accept-encoding": "gzip, br"})
    assert "Content-Encoding" not in plain
    assert small["Content-Encoding"] == "gzip"
    assert int(small["Content-Length"]) == len(small.content) < len(plain.content)
    assert len(gzip.decompress(small.content)) == pytest.approx(len(plain.content), abs=200)


def test_format__page_for_people_and_json_for_programs(known: Client) -> None:
    for headers, expected in [
        ({}, "text/html; charset=utf-8"),
        ({"accept": "text/html,*/*;q=0.8"}, "text/html; charset=utf-8"),
        ({"accept": "application/json"}, "application/json"),
        ({"accept": "nonsense"}, "text/html; charset=utf-8"),
    ]:
        assert known.get(URL, headers=headers)["Content-Type"] == expected


def test_unknown_check__names_the_nearest(known: Client) -> None:
    response = known.get(f"{URL}mien/", {"format": "json"})
    assert (response.status_code, response.json()["status"]) == (404, "unknown")
    assert "'mine'" in response.json()["message"]
    # The subject of alerts that is no check.
    response = known.get(f"{URL}readiness/")
    assert (response.status_code, response["Location"]) == (303, URL)


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_methods__of_the_whole_are_those_of_a_probe(known: Client, method: str) -> None:
    response = getattr(known, method)(URL)
    assert (response.status_code, response["Allow"]) == (405, "GET, HEAD")
    assert known.head(URL).status_code == 200


def urlconf(*patterns: Any) -> ModuleType:
    module = ModuleType(f"urls_of_dashboard_{next(numbers)}")
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize(
    ("patterns", "script", "home"),
    [
        ([path("", include("django_lifesigns.urls"))], "", "/health/dashboard/"),
        ([path("ops/", include("django_lifesigns.urls"))], "", "/ops/health/dashboard/"),
        ([path("", include(("django_lifesigns.urls", "probes"), namespace="x"))], "/shop", "/shop/health/dashboard/"),
        ([path("<slug:tenant>/", include("django_lifesigns.urls"))], "", "/acme/health/dashboard/"),
    ],
)
def test_links__wherever_a_project_has_the_urls(
    settings: Any, known: Client, patterns: Any, script: str, home: str
) -> None:
    settings.ROOT_URLCONF = urlconf(*patterns)
    settings.MIDDLEWARE = ["django_lifesigns.middleware.ProbeMiddleware", *settings.MIDDLEWARE]
    inner = home.removeprefix(script)
    for url in (inner, inner.rstrip("/")):
        page = known.get(url, SCRIPT_NAME=script).content.decode()
        assert f'href="{home}well/"' in page
        assert f'<script src="{home.removesuffix("dashboard/")}assets/' in page
    assert f'href="{home}"' in known.get(f"{inner}well/", SCRIPT_NAME=script).content.decode()


def test_template__can_be_overridden(settings: Any, known: Client, tmp_path: Path) -> None:
    (tmp_path / "lifesigns").mkdir()
    (tmp_path / "lifesigns/dashboard_row.html").write_text("<li>ours: {{ row.check.name }}</li>")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    assert "<li>ours: well</li>" in known.get(URL).content.decode()


def selects(client: Client, url: str) -> int:
    from django.db import connection

    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return sum(query["sql"].startswith("SELECT") for query in captured)


def test_queries__bounded_however_many_checks(settings: Any, lifesigns: Any) -> None:
    names = [f"check_{number}" for number in range(150)]
    client = staff(*PERMISSIONS.values())
    counts = {}
    for most in (5, 150):
        lifesigns(
            CHECKS=dict.fromkeys(names[:most], lambda: True),
            OBJECTIVES={"*": {"target": 99.9}},
            ALERTS={"CHANNELS": {}},
        )
        get_engine()
        seed(names[:most] if most == 5 else names[5:])
        counts[most] = selects(client, URL), selects(client, f"{URL}check_1/")
    assert counts[5] == counts[150]
    assert counts[5][0] <= MOST_QUERIES
    assert counts[5][1] <= MOST_QUERIES_OF_A_CHECK


PROGRAM = """
import json
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_test_environment
from django_lifesigns.dashboard.actions import PERMISSIONS
from django_lifesigns.runtime.engine import get_engine
from tests.django.dashboards import seed

call_command("migrate", verbosity=0)
setup_test_environment()
user = User.objects.create_user("ann", is_staff=True)
names = [permission.partition(".")[2] for permission in PERMISSIONS.values()]
user.user_permissions.set(Permission.objects.filter(codename__in=names))
client = Client(headers={"host": "localhost"})
client.force_login(user)
name = get_engine().names[0]
seed(list(get_engine().names))
found = {}
for url in ("/health/dashboard/", f"/health/dashboard/{name}/"):
    with CaptureQueriesContext(connection) as captured:
        code = client.get(url).status_code
    found[url] = code, sum(query["sql"].startswith("SELECT") for query in captured)
whole = client.get("/health/dashboard/?format=json").json()
print(json.dumps({
    "codes": [code for code, _ in found.values()],
    "queries": [queries for _, queries in found.values()],
    "error": whole["history_error"],
    "strips": [check["strip"]["states"] for check in whole["checks"]],
    "sentence": whole["checks"][0]["objective"]["sentence"],
}))
"""


def test_queries__in_each_database(new_database: NewDatabase, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "DATABASES": {"default": new_database()},
        "INSTALLED_APPS": INSTALLED_APPS,
        "MIDDLEWARE": MIDDLEWARE,
        "ROOT_URLCONF": "tests.django.urls",
        "STATIC_URL": "static/",
        "LIFESIGNS": {"OBJECTIVES": {"*": {"target": 99.9}}, "ALERTS": {"CHANNELS": {}}},
    }
    found = run_json(tmp_path, settings, PROGRAM)
    assert found["codes"] == [200, 200]
    assert found["error"] is None
    assert found["queries"][0] <= MOST_QUERIES
    assert found["queries"][1] <= MOST_QUERIES_OF_A_CHECK
    assert all(len(states) == 90 and set(states) - {"-"} for states in found["strips"])
    assert found["sentence"]


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The history is read on the engine's threads, and hangs until it is released."""
    released = threading.Event()

    def read(*_: object) -> History:
        released.wait(30)
        return History()

    def read_strips() -> dict[str, Strip]:
        released.wait(30)
        return {}

    monkeypatch.setattr(history, "is_under_test", lambda: False)
    monkeypatch.setattr(history, "read", read)
    monkeypatch.setattr(history, "read_rest", read)
    monkeypatch.setattr(history, "recent_strips", read_strips)
    history._reset()
    yield released
    released.set()
    history._reset()


@pytest.mark.parametrize("url", [URL, f"{URL}well/"])
def test_history__that_hangs_delays_no_page_and_holds_one_thread_for_each_reading(
    stuck: threading.Event, known: Client, url: str
) -> None:
    get_engine().run()
    known.get(url)
    threads = threading.active_count()
    started = time.monotonic()
    for _ in range(3):
        found = data(known, url)
        assert found["history_error"]
        assert "The history cannot be read" in known.get(url).content.decode()
    # Six answers, none of which waits for longer than its own time.
    assert time.monotonic() - started < 6 * (history.WAIT_SECONDS + 0.5)
    assert threading.active_count() <= threads + 1
    stuck.set()
    wait_until(lambda: data(known, url)["history_error"] is None, 60)


def test_strips__old_ones_are_shown_while_newer_ones_are_read(
    stuck: threading.Event, known: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "read_rest", lambda _: History())
    get_engine().run()
    for age, wanted in ((60, 1), (60, reading.LATE_SECONDS + 1), (reading.OLD_SECONDS + 60, 1)):
        now = time.time()
        reading._kept_strips["all"] = (now - age, {"well": Strip(first_day(now))})
        reading._wanted["all"] = now - wanted
        found = data(known)
        is_shown = age == 60 and wanted == 1 and DAY.start(now - age) == DAY.start(now)
        assert (found["history_error"] is None) is is_shown
        assert any(check["strip"] for check in found["checks"]) is is_shown


@pytest.mark.services
def test_database__stopped_the_page_answers_from_what_is_known(tmp_path: Path) -> None:
    with Postgres() as postgres:
        settings: dict[str, Any] = {
            "DATABASES": {"default": postgres.database(engine="django.db.backends.postgresql")},
            "LIFESIGNS": {"BACKGROUND": True, "SHOW_DETAILS": "always"},
        }
        paths = os.pathsep.join(map(str, (ROOT, ROOT / "examples/demo")))
        with serving((*GUNICORN, "--threads", "4"), tmp_path, settings, PYTHONPATH=paths) as server:
            wait_until(lambda: answers(server.port), 60, server.log)

            def shown() -> tuple[float, Any]:
                started = time.monotonic()
                code, _, body = send_request(server.port, f"{URL}?format=json", host="localhost")
                assert code == 200
                return time.monotonic() - started, json.loads(body)

            def status() -> str:
                checks = {check["name"]: check["status"] for check in shown()[1]["checks"]}
                return str(checks["database_connectivity"])

            wait_until(lambda: status() == "healthy" and shown()[1]["history_error"] is None, 60, server.log)
            postgres.suspend()
            try:
                wait_until(lambda: status() == "error", 60, server.log)
                # What was read before is shown for as long as it is kept.
                wait_until(lambda: shown()[1]["history_error"], 60, server.log)
                seconds, found = shown()
                assert found["checks"][0]["name"] == "database_connectivity"
                assert seconds < history.WAIT_SECONDS + 1.5
                code, _, page = send_request(server.port, URL, host="localhost")
                assert (code, "The history cannot be read" in page) == (200, True)
            finally:
                postgres.resume()
            wait_until(lambda: shown()[1]["history_error"] is None and status() == "healthy", 60, server.log)


def test_admin__leads_to_the_check_on_the_dashboard(settings: Any) -> None:
    exchange([incident(check="mine")], [], application=project_name(), instance="here")
    client = staff(superuser=True)
    link = 'href="/health/dashboard/mine/"'
    assert link in client.get("/admin/lifesigns/incident/one/change/").content.decode()
    settings.ROOT_URLCONF = urlconf(path("admin/", admin.site.urls))
    page = client.get("/admin/lifesigns/incident/one/change/")
    assert (page.status_code, link in page.content.decode()) == (200, False)


def test_demo__has_a_made_up_history_of_which_all_time_is_known(tmp_path: Path) -> None:
    settings = {"DATABASES": sqlite(tmp_path)}
    migrate(tmp_path, settings)
    program = """
import json, time
from demo.history import make_up
from django_lifesigns.dashboard.strips import DAYS, coverage, read_strips
make_up()
now = time.time()
print(json.dumps([[coverage(strip, now), 1 - strip.states.count("-") / DAYS] for strip in read_strips(now).values()]))
"""
    found = run_json(tmp_path, settings, program)
    assert len(found) > 10
    for known, of_days in found:
        assert known == pytest.approx(of_days, abs=2 / DAYS)
