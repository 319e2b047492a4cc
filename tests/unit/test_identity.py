"""The default application: one for all processes of a program, another one for every other program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEALTH = """
from lifesigns.identity import default_application
def application():
    return default_application()
"""
SCRIPT = """
import sys
sys.path.insert(0, {project!r})
from shop.health import application
print(application())
"""
SPAWNING = """
import multiprocessing
from lifesigns.identity import default_application
if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        print(default_application(), pool.apply(default_application))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    (path / "shop").mkdir(parents=True)
    (path / "shop" / "__init__.py").touch()
    (path / "shop" / "health.py").write_text(HEALTH)
    return path


def run(path: Path, content: str, cwd: Path, *options: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    command = [sys.executable, "-W", "error", *options, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd, timeout=60).stdout.strip()


def test_scripts__are_applications_of_their_own(project: Path, tmp_path: Path) -> None:
    content = SCRIPT.format(project=str(project))
    web = run(project / "web.py", content, project)
    assert web.startswith("web-")
    assert run(project / "web.py", content, tmp_path) == web, "wherever it is started"
    assert run(project / "worker.py", content, project) != web
    assert run(project / "bin" / "serve.py", content, project) != web
    assert run(tmp_path / "other" / "web.py", content, project) != web


def test_servers__are_not_the_application(project: Path, tmp_path: Path) -> None:
    content = SCRIPT.format(project=str(project))
    server = run(tmp_path / "venv" / "bin" / "gunicorn", content, project)
    assert server.startswith("health-"), "the file that makes the engine"
    assert run(tmp_path / "venv" / "bin" / "celery", content, tmp_path) == server
    library = tmp_path / "venv" / "lib" / "python3" / "site-packages" / "uvicorn" / "__main__.py"
    assert run(library, content, project) == server
    copy = tmp_path / "copy"
    project.rename(copy)
    other = run(tmp_path / "venv" / "bin" / "gunicorn", SCRIPT.format(project=str(copy)), copy)
    assert other != server, "another checkout"


def test_spawned_process__has_its_parents(project: Path) -> None:
    parent, child = run(project / "web.py", SPAWNING, project).split()
    assert parent == child


def test_interactive__is_the_working_directory(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from lifesigns.identity import default_application; print(default_application())"]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, timeout=60)
    assert result.stdout.startswith(f"{tmp_path.name}-")
