"""Each example runs as its first lines say, in its own folder and without anything of the tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import yaml

from lifesigns import _core
from tests.services import Redis, free_port, wait_until
from tests.services.processes import kill
from tests.services.workspace import PROJECT

EXAMPLES = PROJECT / "examples"
TOKEN = "a-token-of-this-test"
# As a shell has it: neither the tests' settings nor their path.
CLEAN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def fetch(port: int, path: str, token: str = "") -> tuple[int, str]:
    """Return status and body; status 0 where nothing answers."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@contextmanager
def running(folder: str, application: str, *module: str, **environment: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run `python -m ...` in the folder of an example, and remove the store of its application afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=EXAMPLES / folder,
        env={**CLEAN, **{name: str(value) for name, value in environment.items()}},
    )
    try:
        yield process
    finally:
        kill(process.pid)
        process.wait(10)
        (_core.default_store() / f"{application}{_core.STORE_SUFFIX}").unlink(missing_ok=True)


def run_script(*urls: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "check.py", *urls],
        cwd=EXAMPLES / "script",
        env=CLEAN,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_script_prints_a_line_for_each_check_and_exits_by_what_is_critical() -> None:
    done = run_script()
    assert done.returncode == 0
    # What the machine has little of is said.
    assert all(line.startswith(("disk: ", "memory: ")) for line in done.stderr.splitlines()), done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[:3]] == ["disk", "memory", "python"]
    failing = run_script(f"http://127.0.0.1:{free_port()}/")
    assert failing.returncode == 1
    assert "error     http_127.0.0.1" in failing.stdout


def test_fastapi_answers_probes_at_both_places_and_ends(redis_server: Redis) -> None:
    pytest.importorskip("fastapi")
    port, probes = free_port(), free_port()
    with running(
        "fastapi",
        "fastapi-example",
        *("uvicorn", "main:app", "--port", str(port), "--log-level", "warning"),
        REDIS_URL=redis_server.url,
        LIFESIGNS_TOKEN=TOKEN,
        PROBES=f"127.0.0.1:{probes}",
    ) as process:
        wait_until(lambda: fetch(probes, "/ready")[0] == 200, 60, "it does not become ready")
        wait_until(lambda: fetch(port, "/probes/ready")[0] == 200, 60, "its own port does not become ready")
        assert fetch(port, "/") == (200, '{"shop":"open"}')
        status, body = fetch(probes, "/health", TOKEN)
        assert (status, json.loads(body)["checks"].keys()) == (200, {"redis", "disk", "stock"})
        assert fetch(probes, "/metrics")[0] == 401
        redis_server.suspend()
        try:
            wait_until(lambda: fetch(probes, "/ready")[0] == 503, 60, "it stays ready without Redis")
            assert fetch(probes, "/alive")[0] == 200
        finally:
            redis_server.resume()
        wait_until(lambda: fetch(probes, "/ready")[0] == 200, 60, "it does not become ready again")
        process.terminate()
        assert process.wait(30) in (0, -15)


def test_celery_worker_answers_probes_and_ends(redis_server: Redis) -> None:
    probes = free_port()
    broker = redis_server.url_for(9)
    with running(
        "celery",
        "celery-example",
        *("celery", "-A", "tasks", "worker", "--concurrency", "1", "--loglevel", "warning"),
        CELERY_BROKER_URL=broker,
        PROBES=f"127.0.0.1:{probes}",
    ) as worker:
        command = [sys.executable, "-m", "lifesigns", "probe", "--ready", "--address", f"127.0.0.1:{probes}"]
        wait_until(lambda: subprocess.run(command, env=CLEAN, capture_output=True).returncode == 0, 60, "not ready")
        worker.terminate()
        assert worker.wait(60) == 0


def test_compose_is_valid_and_names_files_and_variables_that_there_are() -> None:
    pytest.importorskip("check_jsonschema")
    file = EXAMPLES / "compose/compose.yaml"
    schema = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(file)]
    done = subprocess.run(schema, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    compose = yaml.safe_load(file.read_text())
    dockerfile = (EXAMPLES / "compose/Dockerfile").read_text()
    copied = re.findall(r"^COPY (.+) \./$", dockerfile, re.MULTILINE)[0].split()
    assert all((EXAMPLES / path).is_file() for path in copied)
    programs = "".join((EXAMPLES / path).read_text() for path in copied)
    for service in ("web", "worker"):
        assert all(name in programs for name in compose["services"][service]["environment"])
        assert compose["services"][service]["healthcheck"]["test"][1:4] == ["python", "-m", "lifesigns"]
    assert yaml.safe_load(compose["configs"]["prometheus"]["content"])["scrape_configs"]


def test_examples_need_nothing_of_the_tests() -> None:
    for path in EXAMPLES.rglob("*.py"):
        assert not re.search(r"^\s*(?:from|import) tests\b", path.read_text(), re.MULTILINE), path
