"""Whatever fails in health checking while a server loads it is logged, and the application starts."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from django_lifesigns import apps as own_app
from django_lifesigns.runtime import guard, worker
from django_lifesigns.runtime.guard import guarded
from tests.django.projects import migrate, run, run_json
from tests.django.serving import GUNICORN, UVICORN, answers, send_request, serving
from tests.services import free_port, wait_until

SERVERS = {"gunicorn": GUNICORN, "gunicorn-preload": (*GUNICORN, "--preload"), "uvicorn": UVICORN}
BUSY = ["cpu_load", "memory_usage", "disk_space"]


def project(folder: Path, **settings: Any) -> dict[str, Any]:
    lifesigns = {"PROBE_SERVER": f"127.0.0.1:{free_port()}", "DISABLED": BUSY}
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}
    return {"DATABASES": {"default": database}, "LIFESIGNS": lifesigns, **settings}


def test_guarded_failure_is_one_line_without_its_text(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guard, "RAISES", False)
    caplog.set_level(logging.DEBUG, "django_lifesigns")
    with guarded("a step"):
        raise RuntimeError("redis://:hunter2@host/0")
    levels = [(record.levelname, record.message.splitlines()[0]) for record in caplog.records]
    line = "health checks: a step failed (RuntimeError); the application runs without it"
    assert levels == [("ERROR", line), ("DEBUG", "health checks: a step")]
    assert "Traceback" in caplog.text
    assert "hunter2" not in caplog.text


def test_guarded_mistake_fails_our_own_tests() -> None:
    with pytest.raises(ZeroDivisionError), guarded("a step"):
        raise ZeroDivisionError


@pytest.mark.parametrize("step", own_app.STEPS)
def test_ready_step_that_fails_does_not_stop_the_others(
    step: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guard, "RAISES", False)
    done: list[str] = []
    steps = {name: lambda name=name: done.append(name) for name in own_app.STEPS}
    monkeypatch.setattr(own_app, "STEPS", {**steps, step: lambda: 1 / 0})
    apps.get_app_config("lifesigns").ready()
    assert done == [name for name in steps if name != step]
    assert f"health checks: {step} failed (ZeroDivisionError); the application runs without it" in caplog.messages


@pytest.mark.parametrize("name", ["import_packages", "_start_as_configured"])
def test_load_that_fails_raises_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guard, "RAISES", False)
    monkeypatch.setattr(worker, name, lambda: 1 / 0)
    worker.on_load()
    assert [message for message in caplog.messages if "ZeroDivisionError" in message] == [
        "health checks: starting with the server failed (ZeroDivisionError); the application runs without it"
    ]


ROWS = """
import json
from django.db import connection
columns = "metric_type, alert_level, threshold_value, enabled, description, created_at, updated_at"
with connection.cursor() as cursor:
    for metric, value in (("response_time", "9e999"), ("error_rate", "9e999"), ("disk_usage", "'much'"), ("", "1")):
        values = f"'{metric}', 'warning', {value}, 1, '', '2026-01-01', '2026-01-01'"
        cursor.execute(f"INSERT INTO core_alert_threshold ({columns}) VALUES ({values})")
print(json.dumps(True))
"""


@pytest.mark.services
@pytest.mark.parametrize("name", SERVERS)
def test_wrong_thresholds_do_not_stop_the_server(name: str, tmp_path: Path) -> None:
    settings = project(tmp_path)
    migrate(tmp_path, settings)
    run_json(tmp_path, settings, ROWS)
    with serving(SERVERS[name], tmp_path, settings) as server:
        wait_until(lambda: answers(server.port), 60, server.log)
        wait_until(lambda: server.log().count("thresholds: the saved ") == 4, 60, "not each row is named")
        assert send_request(server.port, "/health/", host="localhost")[0] == 200
        assert "failed" not in server.log()


WRONG: dict[str, dict[str, Any]] = {
    "lifesigns": {"LIFESIGNS": 5},
    "checks": {"LIFESIGNS": {"BACKGROUND": True, "CHECKS": [], "TASK_QUEUE": 7, "DISABLED": {"a": 1}}},
    "caches": {"CACHES": {"default": {"LOCATION": 5}, "select2": None}},
    "databases": {"DATABASES": {"default": {"NAME": 5}}},
    "email": {"EMAIL_HOST": 7, "EMAIL_PORT": "no", "MQTT_CONFIG": 7, "LLM_PROVIDERS": 7},
}
WITHOUT_DATABASE = """
from django.http import HttpResponse
from django.utils.decorators import sync_and_async_middleware

@sync_and_async_middleware
def page(get_response):
    def answer(request):
        return HttpResponse("the application")
    return answer
"""


@pytest.mark.services
@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_settings_do_not_stop_the_server(wrong: str, tmp_path: Path) -> None:
    """Where Django itself starts with them."""
    settings = project(tmp_path, MIDDLEWARE=["django_lifesigns.middleware.ProbeMiddleware", "pages.page"])
    lifesigns = WRONG[wrong].get("LIFESIGNS", settings["LIFESIGNS"])
    settings |= {key: value for key, value in WRONG[wrong].items() if key != "LIFESIGNS"}
    program = f"""
import json, pathlib
pathlib.Path("pages.py").write_text({WITHOUT_DATABASE!r})
from django.conf import settings
settings.LIFESIGNS = {lifesigns!r}
import sys; sys.path.insert(0, ".")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
from django_lifesigns.runtime import worker
worker._start_as_configured()
from django.test import RequestFactory
answer = application.get_response(RequestFactory().get("/page/", headers={{"host": "localhost"}}))
print(json.dumps(answer.content.decode()))
"""
    done = run(tmp_path, settings, "-W", "ignore", "-c", program)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == "the application", done.stderr
    assert "failed (" not in done.stderr, "nothing but what is said of the settings"


APPS = {
    "opted": "import lifesigns\n@lifesigns.check('opted')\ndef opted(): ...\n",
    "script": "import django; django.setup(); raise SystemExit(3)",
    "querying": "from django.contrib.sessions.models import Session; Session.objects.count(); 1 / 0",
    "broken": "import lifesigns, no_such_module",
    "exiting": "import lifesigns, sys; sys.exit(3)",
    "setting_up": "import lifesigns, django; django.setup()",
    "opening": (
        "import lifesigns\nfrom django.db import connection\nconnection.ensure_connection()\n"
        "@lifesigns.check('opening')\ndef opening(): ...\n"
    ),
    "none": None,
}
LOADED = """
import json, sys
from django.db import connection
from lifesigns.checks import DECLARED
loaded = sorted(name.removesuffix(".health") for name in sys.modules if name.endswith(".health"))
print(json.dumps({"loaded": loaded, "declared": sorted(DECLARED), "open": connection.connection is not None}))
"""


def test_health_modules_only_those_that_opted_in_are_imported(tmp_path: Path) -> None:
    for name, text in APPS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
        if text is not None:
            (tmp_path / name / "health.py").write_text(text)
    (tmp_path / "packaged/health").mkdir(parents=True)
    (tmp_path / "packaged/__init__.py").write_text("")
    (tmp_path / "packaged/health/__init__.py").write_text("from packaged.health import declared")
    (tmp_path / "packaged/health/declared.py").write_text(APPS["opted"].replace("opted", "packaged"))  # type: ignore[union-attr]
    names = [*APPS, "packaged"]
    installed = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", *names]
    settings = project(tmp_path, INSTALLED_APPS=[*installed, "django_lifesigns"])
    assert run(tmp_path, settings, "-m", "django", "migrate", "--verbosity", "0").returncode == 0
    done = run(tmp_path, settings, "-W", "ignore", "-c", f"import django; django.setup()\n{LOADED}")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "loaded": ["opening", "opted", "packaged"],
        "declared": ["opening", "opted", "packaged"],
        "open": False,
    }
    lines = [line for line in done.stderr.splitlines() if line.startswith("health checks: ")]
    assert [line.split()[2] for line in lines] == ["broken.health", "exiting.health", "setting_up.health"]
    assert all("cannot be imported (" in line for line in lines)
    assert done.stderr.count("Traceback") == len(lines)


MISTAKES = {
    "typo": ('@lifesigns.check("stock", timout=3)', "'stock'", "no argument 'timout'. Did you mean 'timeout'?"),
    "value": ('@lifesigns.check("stock", timeout="3 s")', "'stock'", "timeout"),
    "critical": ('@lifesigns.check("stock", critical="no")', "'stock'", "critical must be True or False"),
    "name": ('@lifesigns.check("in stock")', "'in stock'", "letters, digits"),
    "nameless": ("@lifesigns.check", "a check", "takes the name of the check"),
    "duplicate": ('@lifesigns.check("first")', "'first'", "two checks are declared as 'first'"),
    "foreign": ('raise RuntimeError("redis://:hunter2hunter2@host")', "RuntimeError at health.py:6", "The log"),
}
MODULE = """
import lifesigns
@lifesigns.check("first")
def first():
    return True
{mistake}
def second():
    return True
@lifesigns.check("third")
def third():
    return True
"""
REPORTED = """
import json
from django.core.checks import run_checks
from django_lifesigns.runtime.engine import get_engine, get_runtime
lost = get_engine().check("health.depot") if "health.depot" in get_engine().names else None
checks = get_engine().run(["first", *({"stock"} & set(get_engine().names))], deadline=5)["checks"]
print(json.dumps({
    "third": "third" in get_engine().names,
    "lost": lost and [lost["status"], "health.depot" in get_runtime().critical],
    "messages": [[message.id, message.is_serious(), f"{message.msg} {message.hint}"] for message in run_checks()],
    "results": {name: [result["status"], result["message"]] for name, result in checks.items()},
}))
"""


def app_with(folder: Path, code: str) -> dict[str, Any]:
    (folder / "depot").mkdir()
    (folder / "depot/__init__.py").write_text("")
    (folder / "depot/health.py").write_text(code)
    return {"INSTALLED_APPS": ["django.contrib.contenttypes", "django.contrib.auth", "django_lifesigns", "depot"]}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_health_module_with_a_mistake_is_reported_and_its_other_checks_run(tmp_path: Path, mistake: str) -> None:
    line, which, what = MISTAKES[mistake]
    settings = project(tmp_path, **app_with(tmp_path, MODULE.format(mistake=line)), MIDDLEWARE=[])
    settings["LIFESIGNS"] = {"DISABLED": BUSY}
    done = run(tmp_path, settings, "-W", "ignore", "-c", f"import django; django.setup()\n{REPORTED}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    [(id, is_error, message)] = [item for item in found["messages"] if item[0].startswith("lifesigns.W00")]
    assert (id, is_error) == ("lifesigns.W006", False)
    assert found["lost"] == (None if which in {"'stock'", "'in stock'"} else ["error", False])
    assert found["third"] == (mistake != "foreign")
    for part in ("depot.health", which, what):
        assert part in message
    assert found["results"]["first"][0] == "healthy"
    assert ("stock" in found["results"]) == (which == "'stock'")
    if which == "'stock'":
        assert found["results"]["stock"][0] == "error"
        assert what in found["results"]["stock"][1]
    assert done.stderr.count("Traceback") == (mistake == "foreign"), done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_health_module_with_the_name_of_a_built_in_check_is_a_warning_unless_it_is_meant(tmp_path: Path) -> None:
    code = 'import lifesigns\nlifesigns.check("mqtt_broker")(lambda: True)\n'
    settings = project(tmp_path, **app_with(tmp_path, code), MIDDLEWARE=[])
    program = """
import json
from django.core.checks import run_checks
print(json.dumps([message.msg for message in run_checks() if message.id == "lifesigns.W007"]))
"""
    settings["LIFESIGNS"] = {}
    [message] = run_json(tmp_path, settings, program)
    assert message == "The check 'mqtt_broker' that depot.health declares takes the place of the built-in one."
    settings["LIFESIGNS"] = {"CHECKS": {"mqtt_broker": {}}}
    assert run_json(tmp_path, settings, program) == []
