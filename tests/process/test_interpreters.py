"""A second interpreter of a process, as mod_wsgi has one for each site: checks are off there, with one log line."""

from __future__ import annotations

import subprocess
import sys

import pytest

# What the second interpreter runs, with an own interpreter lock where Python has that, or as mod_wsgi makes them.
SECOND = """
import sys
sys.path[:0] = {path!r}
import logging
records = []
class Handler(logging.Handler):
    def emit(self, record):
        records.append(record.getMessage())
logging.getLogger("lifesigns").addHandler(Handler())
import lifesigns
assert len(records) == 1 and "WSGIApplicationGroup %{{GLOBAL}}" in records[0], records
engine = lifesigns.Engine(share="host")
engine.register("x", lambda: None)
engine.register("y", {{"kind": "memory"}}, depends_on=["x"])
report = engine.run()
assert report["status"] == "degraded" and "GLOBAL" in report["message"], report
assert {{check["status"] for check in report["checks"].values()}} == {{"skipped"}}, report
assert engine.check("x")["status"] == "skipped"
try:
    engine.check("z")
except lifesigns.UnknownCheckError:
    pass
else:
    raise AssertionError("it is not registered")
assert lifesigns.Circuit().call(lambda: 7) == 7
with engine.serve("127.0.0.1:0"):
    engine.start_background()
assert lifesigns.metrics(engine) == "" and not lifesigns.draining()
lifesigns.beat("worker"); lifesigns.drain(); lifesigns.close_connections()
{more}
assert len(records) == 1, records
"""
FIRST = """
import sys
try:
    import _interpreters
except ImportError:
    import _xxsubinterpreters as _interpreters
import lifesigns
engine = lifesigns.Engine()
engine.register("x", lambda: None)
assert engine.run()["status"] == "healthy"
kind, script = sys.argv[1:]
if kind == "isolated":
    interpreter = _interpreters.create()
elif sys.version_info >= (3, 13):
    interpreter = _interpreters.create("legacy")
else:
    interpreter = _interpreters.create(isolated=False)
failed = _interpreters.run_string(interpreter, script)
assert failed is None, failed
for _ in range(20):
    report = engine.run(refresh=True)
    assert report["status"] == "healthy", report
"""


def run(kind: str, more: str = "") -> str:
    script = SECOND.format(path=sys.path, more=more)
    command = [sys.executable, "-c", FIRST, kind, script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("kind", ["isolated", "legacy"])
def test_second_interpreter_has_its_checks_off_and_leaves_the_first_alone(kind: str) -> None:
    assert run(kind) == ""


# An own interpreter lock refuses what Django itself imports.
def test_second_interpreter_imports_the_django_app() -> None:
    run(
        "legacy",
        """
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["django_lifesigns"], ROOT_URLCONF="django_lifesigns.urls", ALLOWED_HOSTS=["*"], DEBUG=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
import django
django.setup()
from django.test import Client
answer = Client().get("/health/")
assert answer.status_code == 200 and answer.json()["status"] == "degraded", answer.content
assert Client().get("/ready/").status_code == 200
assert Client().get("/alive/").status_code == 200
""",
    )
