"""What is imported by `import lifesigns`, and by first runs on several threads, of a package with an import cycle.

LIFESIGNS_FIRST_USE=200 sets how many processes. As a script it runs with any interpreter that can import lifesigns:
python tests/process/test_imports.py 200
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROCESSES = int(os.environ.get("LIFESIGNS_FIRST_USE", "16"))
# As redis-py's: the package imports its modules, which import each other and the package.
PACKAGE = {
    "__init__": "from cycle import typing, client, connection, asyncio\nfrom cycle.client import Client\n",
    "typing": "from cycle import utils\nKEY = 1\n",
    "utils": "import time\ntime.sleep(0.002)\n",
    "connection": "import time\ntime.sleep(0.003)\nfrom cycle import typing, utils\nclass Connection: ...\n",
    "client": (
        "import time\nfrom cycle import connection\nfrom cycle.connection import Connection\ntime.sleep(0.003)\n"
        "class Client:\n    connection = Connection\n"
    ),
    "asyncio": "import cycle.client, cycle.connection, time\ntime.sleep(0.002)\nclient = cycle.client.Client\n",
}
APPLICATION = "import time\ntime.sleep(0.002)\nfrom cycle.connection import Connection\nfrom cycle import Client\n"
SCRIPT = """
import importlib, logging, sys, threading
sys.path.insert(0, sys.argv[1])
import lifesigns
logging.getLogger("lifesigns").addHandler(logging.NullHandler())
engine = lifesigns.Engine()
imports = sys.argv[2:]

def whole():
    import cycle
    cycle.connection.Connection, cycle.asyncio.client

def module():
    import cycle.connection
    cycle.connection.Connection

def names():
    from cycle.client import Client
    from cycle.connection import Connection

def other():
    import cycle.asyncio
    cycle.asyncio.client

async def coroutine():
    from cycle import Client

for check in (whole, module, names, other, coroutine):
    engine.register(check.__name__, check, imports=imports)

start = threading.Barrier(2)
def application():
    start.wait()
    for index in range(8):
        importlib.import_module(f"shop{index}" if imports else f"plain{index}")
    failed.clear()
failed = ["application"]
thread = threading.Thread(target=application)
thread.start()
start.wait()
report = engine.run()
thread.join()
failed += [f"{name}: {check['message']}" for name, check in report["checks"].items() if check["status"] != "healthy"]
import cycle
assert cycle.connection.Connection and cycle.client.Client and cycle.asyncio.client
print("; ".join(failed))
"""


def write_modules(folder: Path) -> None:
    (folder / "cycle").mkdir()
    for name, text in PACKAGE.items():
        (folder / "cycle" / f"{name}.py").write_text(text)
    for index in range(8):
        (folder / f"shop{index}.py").write_text(APPLICATION)
        (folder / f"plain{index}.py").write_text("import time\ntime.sleep(0.002)\n")


def failures(folder: Path, processes: int, *imports: str) -> Counter[str]:
    """What failed, in how many of the processes."""

    def run(_: int) -> str:
        command = [sys.executable, "-c", SCRIPT, str(folder), *imports]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        return done.stderr.strip()[-500:] or done.stdout.strip()

    with ThreadPoolExecutor(2) as pool:
        return Counter(failed for failed in pool.map(run, range(processes)) if failed)


def test_first_run_with_packages_imported_at_registration_never_fails(tmp_path: Path) -> None:
    write_modules(tmp_path)
    assert failures(tmp_path, PROCESSES, "cycle") == {}


def test_first_run_whose_imports_collide_is_run_once_more(tmp_path: Path) -> None:
    write_modules(tmp_path)
    assert failures(tmp_path, PROCESSES) == {}


def test_import_loads_the_native_engine_and_nothing_of_the_standard_library() -> None:
    script = "import sys; before = set(sys.modules); import lifesigns; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert set(done.stdout.split()) - {"__future__"} == {"lifesigns", "lifesigns._core", "lifesigns.exceptions"}


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        write_modules(Path(made))
        for given in (["cycle"], []):
            found = failures(Path(made), int(sys.argv[1]), *given)
            print(
                sys.version.split()[0],
                given,
                f"{found.total() if hasattr(found, 'total') else sum(found.values())} of {sys.argv[1]} fail",
                dict(found),
            )
