"""A program finds the same in a process of the prepared interpreter as in a new one, but for modules of Django."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.django import interpreter

FOUND = """
import json, os, sys, warnings
ours = sorted(name for name in sys.modules if name.partition(".")[0] in ("lifesigns", "django_lifesigns", "tests"))
configured = "django.conf" in sys.modules and sys.modules["django.conf"].settings.configured
print(json.dumps({
    "arguments": sys.argv, "folder": os.getcwd(), "path": sys.path, "environment": dict(os.environ),
    "options": sys.warnoptions, "filters": [str(one) for one in warnings.filters], "name": __name__,
    "is main": sys.modules["__main__"].__dict__ is globals(), "file": globals().get("__file__"),
    "input": sys.stdin.read(),
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:3], "ours": ours, "configured": configured,
    "writes bytecode": not sys.dont_write_bytecode,
}))
print("an error", file=sys.stderr)
"""
SECONDS = 60


def both(folder: Path, *arguments: str, **more: str) -> list[subprocess.CompletedProcess[str]]:
    """What the prepared and a new interpreter make of it."""
    environment = {**os.environ, **more}
    assert interpreter.parse(arguments, environment) is not None
    return [
        run(*arguments, environment=environment, folder=folder, timeout=SECONDS)
        for run in (interpreter.run, interpreter.run_new)
    ]


@pytest.mark.parametrize(
    "arguments", [["-c", FOUND], ["-m", "found"], ["-m", "package"]], ids=["text", "module", "main"]
)
@pytest.mark.parametrize(
    ("options", "more"),
    [
        ([], {}),
        (["-W", "ignore", "-W", "error::ResourceWarning"], {"PYTHONPATH": "/one:/two", "OWN": "x"}),
        (["-W", "ignore::DeprecationWarning"], {"PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1"}),
    ],
)
def test_program_finds_what_a_new_interpreter_has(
    arguments: list[str], options: list[str], more: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "package").mkdir()
    for file in ("found.py", "package/__main__.py"):
        (tmp_path / file).write_text(FOUND)
    found: list[dict[str, Any]] = []
    for done in both(tmp_path, *options, *arguments, "first", "--second", **more):
        assert (done.returncode, done.stderr) == (0, "an error\n")
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    assert found[0]["arguments"][1:] == ["first", "--second"]
    assert (found[0]["ours"], found[0]["configured"]) == ([], False)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('a message')", 1),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("import atexit; atexit.register(print, 'the end')", 0),
        ("import threading; threading.Thread(target=print, args=['a thread']).start()", 0),
        ("import os; os._exit(4)", 4),
        ("import sys; sys.stderr.write('é'); sys.stdout.write('no newline')", 0),
    ],
)
def test_program_ends_as_in_a_new_interpreter(program: str, code: int, tmp_path: Path) -> None:
    found = [(done.returncode, done.stdout, done.stderr) for done in both(tmp_path, "-c", program)]
    assert found[0] == found[1]
    assert found[0][0] == code


def test_exception_ends_the_program_with_its_traceback(tmp_path: Path) -> None:
    for done in both(tmp_path, "-c", "1 / 0"):
        assert done.returncode == 1
        assert done.stderr.startswith("Traceback")
        assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_program_is_killed_after_the_timeout(tmp_path: Path) -> None:
    program = "import os; print(os.getpid(), flush=True)\nwhile True: pass"
    with pytest.raises(subprocess.TimeoutExpired) as caught:
        interpreter.run("-c", program, environment=os.environ, folder=tmp_path, timeout=2)
    assert isinstance(caught.value.output, str)
    pid = int(caught.value.output)
    # The one whose child it is has waited for it before it answers again.
    interpreter.run("-c", "", environment=os.environ, folder=tmp_path, timeout=SECONDS)
    assert not Path(f"/proc/{pid}").exists()


def test_programs_run_beside_each_other(tmp_path: Path) -> None:
    """Each waits for the file of the other."""

    def run(number: int) -> int:
        program = f"""
import os, time
open("{number}", "w").close()
while not os.path.exists("{1 - number}"):
    time.sleep(0.01)
"""
        return interpreter.run("-c", program, environment=os.environ, folder=tmp_path, timeout=SECONDS).returncode

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(run, range(2))) == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (["-O", "-c", ""], {}),
        (["-X", "dev", "-c", ""], {}),
        (["manage.py", "check"], {}),
        (["-c", ""], {"PYTHONHASHSEED": "1"}),
    ],
)
def test_new_interpreter_where_it_is_read_at_the_start(arguments: list[str], more: dict[str, str]) -> None:
    assert interpreter.parse(arguments, {**os.environ, **more}) is None


def test_interpreter_ends_with_its_owner(tmp_path: Path) -> None:
    program = """
import os
from pathlib import Path
from tests.django import interpreter
done = interpreter.run("-c", "import os; print(os.getppid())", environment=os.environ, folder=Path.cwd(), timeout=60)
print(done.stdout)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert not Path(f"/proc/{int(done.stdout)}").exists()
