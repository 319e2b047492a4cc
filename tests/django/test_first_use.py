"""First sweeps in fresh processes: what the checks import does not collide with imports of the application's threads.

LIFESIGNS_FIRST_USE=200 sets how many processes. `make first-use` runs as many in all modes together, on every Python of
the matrix. As a script it runs with any interpreter that can import the project's packages, and says how many fail;
with `without` also how many do without the imports of the loading thread and without the engine's second run:
python -m tests.django.test_first_use 200 without
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from django_lifesigns.checks.imports import BUILT_IN
from django_lifesigns.runtime import imports as first_use
from tests.django.projects import environment, run_new
from tests.services import Redis

PROCESSES = int(os.environ.get("LIFESIGNS_FIRST_USE", "4"))
# `early`: the application imports while the engine is built; `background`: while results are renewed already.
MODES = ["server", "server,early", "server,early,background", "server,app", "command"]
# `lazy`: nothing is imported before a check runs; `once`: a run that fails by an import is not repeated.
WITHOUT = ["server,lazy", "server,early,background,lazy", "server,lazy,once", "server,early,background,lazy,once"]
CLIENTS = ("redis", "django_redis", "channels", "channels_redis", "celery", "kombu")
# The application of a server, as `asgi.py` is documented by Channels: it imports more once Django is set up.
PROGRAM = """
import importlib, json, logging, sys, threading
mode = set(sys.argv[1].split(","))

import lifesigns
logging.getLogger("lifesigns").addHandler(logging.NullHandler())
logging.getLogger("lifesigns").propagate = False
if "lazy" in mode:
    from django_lifesigns.runtime import imports as first_use
    first_use._imported.append(True)
    from django_lifesigns.checks import imports as modules
    modules.imports = lambda _: ()
    import lifesigns.registry
    lifesigns.registry._import_whole = lambda *_: None
if "once" in mode:
    from lifesigns import first_use as engines
    engines.is_collision = lambda _: False

if "app" in mode:  # as a project's own package makes it
    from celery import Celery
    Celery("project", broker=sys.argv[2], set_as_current=True)

failed = []
def application(*names):
    start.wait()
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:
            failed.append(f"application: {name}: {type(error).__name__}: {error}")

if "command" in mode:
    import django
    django.setup()
else:
    from django.core.asgi import get_asgi_application
    get_asgi_application()

from django_lifesigns.runtime.engine import get_engine
threads = [
    threading.Thread(target=application, args=names)
    for names in (["redis.connection", "redis.asyncio.client"], ["kombu.transport.redis", "celery.app.control"])
]
start = threading.Barrier(len(threads) + 1)
for thread in threads:
    thread.start()
if "early" in mode:
    start.wait()
    engine = get_engine()
else:
    engine = get_engine()
    start.wait()
before = set(sys.modules)
report = engine.run()
for thread in threads:
    thread.join()
failed += [
    f"{name}: {check['message']}" for name, check in report["checks"].items()
    if check["status"] not in ("healthy", "skipped")
]
try:
    from django.core.cache import caches
    for alias in ("default", "select2"):
        caches[alias].set("mine", 1)
        assert caches[alias].get("mine") == 1
    import redis
    redis.connection.Connection, redis.asyncio.Redis
except Exception as error:
    failed.append(f"afterwards: {type(error).__name__}: {error}")
late = sorted(name for name in set(sys.modules) - before if name.partition(".")[0] in CLIENTS)
print(json.dumps({"failed": failed, "late": late, "ran": sorted(
    name for name, check in report["checks"].items() if check["status"] == "healthy")}))
""".replace("CLIENTS", repr(CLIENTS))
EXPECTED = {"redis_connectivity", "default_cache", "select2_cache", "channel_layer", "task_queue", "pending_tasks"}
BUSY = ["cpu_load", "memory_usage", "disk_space"]


def project(server: Redis, folder: Path, mode: str) -> dict[str, Any]:
    """The settings of a project that reaches its Redis server by redis-py in four ways."""
    # Without an application of the project, Celery's own would look for workers at another broker.
    disabled = BUSY if "app" in mode else [*BUSY, "task_workers"]
    django, other = "django.core.cache.backends.redis.RedisCache", "django_redis.cache.RedisCache"
    layer = {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [server.url_for(3)]}}
    return {
        "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "db.sqlite3")}},
        "CACHES": {
            "default": {"BACKEND": django, "LOCATION": server.url_for(1)},
            "select2": {"BACKEND": other, "LOCATION": server.url_for(2)},
        },
        "CHANNEL_LAYERS": {"default": layer},
        "CELERY_BROKER_URL": server.url_for(4),
        # No Celery worker runs here.
        "LIFESIGNS": {
            "SHARE": "process",
            "EXPECTED_WORKERS": 0,
            "DISABLED": disabled,
            "BACKGROUND": "background" in mode,
        },
    }


def first_sweep(variables: dict[str, str], folder: Path, *arguments: str) -> dict[str, Any]:
    """What a fresh process says of its first sweep."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, *arguments],
        env=variables,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    if done.returncode:
        return {"failed": [f"process: {done.stderr.strip()[-500:]}"], "late": [], "ran": []}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def first_sweeps(server: Redis, folder: Path, mode: str, processes: int) -> list[dict[str, Any]]:
    """What so many fresh processes say, two at a time."""
    variables = environment(folder, project(server, folder, mode))
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda _: first_sweep(variables, folder, mode, server.url_for(4)), range(processes)))


@pytest.mark.services
@pytest.mark.parametrize("mode", MODES)
def test_first_sweep_beside_imports_of_the_application_is_healthy(
    mode: str, redis_server: Redis, tmp_path: Path
) -> None:
    for package in CLIENTS:
        pytest.importorskip(package)
    for found in first_sweeps(redis_server, tmp_path, mode, PROCESSES):
        assert found["failed"] == []
        assert found["late"] == []
        assert set(found["ran"]) >= EXPECTED


OWN_CACHE = """
from django.core.cache.backends.locmem import LocMemCache
class Cache(LocMemCache): ...
"""
LOADED = """
import json, sys
{load}
names = {{"own_cache", "own_client", "own_checks", "django_lifesigns.runtime.imports", *{clients}}}
print(json.dumps(sorted(names & sys.modules.keys())))
"""
SERVER = "from django.core.wsgi import get_wsgi_application; get_wsgi_application()"
CACHE = {"BACKEND": "own_cache.Cache", "OPTIONS": {"CLIENT_CLASS": "own_client.Client"}}


@pytest.fixture
def own_modules(tmp_path: Path) -> Path:
    """A folder with a cache backend, its client and a check."""
    (tmp_path / "own_cache.py").write_text(OWN_CACHE)
    (tmp_path / "own_client.py").write_text("class Client: ...")
    (tmp_path / "own_checks.py").write_text("def check(): ...")
    return tmp_path


def loaded(folder: Path, load: str, **settings: Any) -> list[str]:
    """Which of the modules a fresh process has imported once it has loaded a project with these settings."""
    done = run_new(folder, settings, "-W", "ignore", "-c", LOADED.format(load=load, clients=CLIENTS))
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("backend", sorted(BUILT_IN))
def test_server_with_builtin_cache_imports_nothing(backend: str, tmp_path: Path) -> None:
    cache = {"BACKEND": backend, "LOCATION": str(tmp_path / "cache")}
    assert loaded(tmp_path, SERVER, CACHES={"default": cache}) == ["django_lifesigns.runtime.imports"]


def test_server_imports_cache_backend_client_and_own_checks(own_modules: Path) -> None:
    settings = {"CACHES": {"default": CACHE}, "LIFESIGNS": {"CHECKS": {"mine": "own_checks.check"}}}
    expected = ["django_lifesigns.runtime.imports", "own_cache", "own_checks", "own_client"]
    assert loaded(own_modules, SERVER, **settings) == expected


def test_server_imports_nothing_for_disabled_checks(own_modules: Path) -> None:
    checks = {"mine": {"check": "own_checks.check", "enabled": False}, "redis_connectivity": {"enabled": False}}
    settings = {"CACHES": {"default": CACHE}, "LIFESIGNS": {"CHECKS": checks, "DISABLED": ["default_cache"]}}
    assert loaded(own_modules, SERVER, **settings) == ["django_lifesigns.runtime.imports"]


def test_first_page_of_a_server_imports_nothing_of_what_pages_need(tmp_path: Path) -> None:
    """The dashboard's, of which nothing is left to import but what its checks do."""
    program = f"""
import json, sys
{SERVER}
from django.test import Client
before = set(sys.modules)
assert Client(headers={{"host": "localhost"}}).get("/health/dashboard/").status_code in (200, 401)
packages = ("django_lifesigns.dashboard", "django_lifesigns.http", "django_lifesigns.views", "django.db.backends.")
print(json.dumps(sorted(name for name in sys.modules.keys() - before if name.startswith(packages))))
"""
    done = run_new(tmp_path, {}, "-W", "ignore", "-c", program)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_script_imports_nothing_before_the_engine_is_built(own_modules: Path) -> None:
    settings = {"CACHES": {"default": CACHE}, "LIFESIGNS": {"CHECKS": {"mine": {"check": "own_checks.check"}}}}
    script = "import django; django.setup()"
    assert loaded(own_modules, script, **settings) == []
    script += "; from django_lifesigns.runtime.engine import get_engine; get_engine()"
    assert loaded(own_modules, script, **settings)[1:] == ["own_cache", "own_checks", "own_client"]


@pytest.mark.parametrize("text", ["raise RuntimeError('broken')", "import no_such_package"])
def test_package_that_cannot_be_imported_is_reported_by_its_check(text: str, tmp_path: Path) -> None:
    (tmp_path / "own_cache.py").write_text(text)
    program = """
import json
from django.core.wsgi import get_wsgi_application
get_wsgi_application()
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().run(["default_cache", "database_connectivity"])["checks"]))
"""
    done = run_new(tmp_path, {"CACHES": {"default": CACHE}}, "-W", "ignore", "-c", program)
    assert done.returncode == 0, done.stderr
    checks = json.loads(done.stdout)
    assert {name: check["status"] for name, check in checks.items()} == {
        "default_cache": "error",
        "database_connectivity": "healthy",
    }


@pytest.mark.parametrize("wrong", [{"CHECKS": []}, {"DISABLED": 3}, {"TASK_QUEUE": 7}, {"CHECKS": {"mine": ""}}, 5])
def test_settings_that_are_wrong_do_not_stop_the_imports(
    wrong: object, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIFESIGNS = wrong
    settings.CACHES = {"default": {"BACKEND": 5}, "select2": None}
    settings.CHANNEL_LAYERS = ["none"]
    monkeypatch.setattr(first_use, "_imported", [])
    first_use.import_packages()
    assert first_use._imported == [True]


def main(processes: int, modes: list[str]) -> int:
    """Print how many first sweeps fail in each mode; return how many do where none should."""
    import celery
    import redis

    wrong = 0
    with ExitStack() as stack:
        server = stack.enter_context(Redis())
        folder = Path(mkdtemp(dir=server.directory))
        print(f"Python {sys.version.split()[0]}, redis-py {redis.__version__}, Celery {celery.__version__}", flush=True)
        for mode in modes:
            sweeps = first_sweeps(server, folder, mode, processes)
            failed = [sorted(found["failed"]) for found in sweeps]
            kinds = Counter(one for failures in failed for one in failures)
            late = len({name for found in sweeps for name in found["late"]})
            number = sum(map(bool, failed))
            wrong += number if mode in MODES else 0
            print(f"  {mode}: {number} of {processes} fail, {late} modules imported late", flush=True)
            for kind, times in kinds.most_common(5):
                print(f"    {times} x {kind[:160]}", flush=True)
    return wrong


if __name__ == "__main__":
    chosen = [*MODES, *WITHOUT] if sys.argv[2:] == ["without"] else sys.argv[2:] or MODES
    sys.exit(1 if main(int(sys.argv[1]), chosen) else 0)
