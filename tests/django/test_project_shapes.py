"""Projects as others write them start healthy: no complaint of `manage.py check`, and probes that answer 200.

Each project is of its own, with what the README says added, and each step is a fresh process.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from django_lifesigns.targets.catalogue import CATALOGUE
from tests.django.shapes.catalogue import PLAIN, SHAPES, Shape
from tests.django.shapes.scaffold import Project, make, make_startproject
from tests.django.shapes.servers import Servers
from tests.services import Stack

# What a project's own logging shows though nothing is wrong.
QUIET = ("INFO", "DEBUG")
CHECKS = (("check",), ("check", "--deploy"))
# Whatever DEFAULT_AUTO_FIELD and the language are, our migrations are all that the models need.
COMPLETE = ("makemigrations", "--check", "--dry-run", "lifesigns")
# Projects at a time: one alone leaves processors idle.
PARALLEL = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What the commands of a project have printed, and what its first and its second process have answered."""

    commands: list[dict[str, Any]]
    probes: list[dict[str, Any]]


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, session_stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Outcome]]]:
    """By shape, for those of the tests that were selected."""
    here = [
        item for item in request.session.items if isinstance(item, pytest.Function) and item.module is request.module
    ]
    shapes = [shape for item in here if isinstance(shape := item.callspec.params.get("shape"), Shape)]
    servers, pool = Servers(session_stack), ThreadPoolExecutor(PARALLEL)
    yield {shape.name: pool.submit(of_shape, shape, servers, tmp_path_factory.mktemp(shape.name)) for shape in shapes}
    pool.shutdown(cancel_futures=True)
    servers.close()


def of_shape(shape: Shape, servers: Servers, folder: Path) -> Outcome:
    with servers.lock:
        variables = dict(shape.variables(servers))
    project = make(folder, shape.project or shape.name, shape.settings, variables, celery=shape.celery)
    for name in shape.folders:
        (folder / name).mkdir(parents=True)
    return of_project(project, shape)


def of_project(project: Project, shape: Shape) -> Outcome:
    commands = project.commands(*CHECKS, *shape.commands, COMPLETE)
    return Outcome(commands=commands, probes=[project.probe(shape.interface) for _ in range(2)])


@pytest.mark.services
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_project_of_a_known_shape_starts_healthy(shape: Shape, outcomes: dict[str, Future[Outcome]]) -> None:
    assert_healthy(outcomes[shape.name].result(), shape)


@pytest.mark.parametrize(("debug", "interface"), [(True, "asgi"), (False, "wsgi")])
def test_project_of_startproject_starts_healthy(debug: bool, interface: str, tmp_path: Path) -> None:
    project = make_startproject(tmp_path, debug=debug)
    shape = Shape(name="startproject", interface=interface, healthy=PLAIN)
    assert_healthy(of_project(project, shape), shape)
    done = project.python("manage.py", "check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "System check identified no issues (0 silenced).\n", "")


def assert_healthy(outcome: Outcome, shape: Shape) -> None:
    assert_commands_are_silent(*outcome.commands)
    for probes in outcome.probes:
        assert_probes_are_healthy(probes, shape)


def assert_commands_are_silent(check: dict[str, Any], deploy: dict[str, Any], *others: dict[str, Any]) -> None:
    """`check` has no message of ours, `check --deploy` no error of ours, and the other commands work."""
    assert check["code"] == 0, check["output"]
    assert "lifesigns" not in check["output"], check["output"]
    assert "lifesigns.E" not in deploy["output"], deploy["output"]
    for done in others:
        assert done["code"] == 0, done
        assert "Traceback" not in done["output"]
        assert "lifesigns.W" not in done["output"]


def assert_probes_are_healthy(found: dict[str, Any], shape: Shape) -> None:
    """The first answers of a fresh process: 200, and each check is healthy or skipped as the shape says."""
    results: dict[str, dict[str, Any]] = found["results"]
    wrong = {
        name: {key: result.get(key) for key in ("status", "message", "error_type")}
        for name, result in results.items()
        if result["status"] not in ("healthy", "skipped")
    }
    assert wrong == {}, found["log"]
    codes = {path: answer[0] for path, answer in found["answers"].items()}
    assert codes == {"/health/": 200, "/ready/": 200, "/startup/": 200}, [
        answer for answer in found["answers"].values() if answer[0] != 200
    ]
    # What the first answer said, not only what the results are by now.
    statuses = {name: check["status"] for name, check in found["answers"]["/health/"][1]["checks"].items()}
    assert set(statuses.values()) <= {"healthy", "skipped"}, statuses
    # On a busy machine a worker may answer too late, which says nothing of it.
    busy = {"task_workers"} if "busy" in results["task_workers"]["message"] else set()
    healthy = busy | {name for name in CATALOGUE if statuses[name] == "healthy"}
    assert healthy - shape.either == shape.healthy - shape.either, {
        name: results[name]["message"] for name in healthy ^ shape.healthy
    }
    for name, words in shape.reasons.items():
        assert statuses[name] == "skipped", name
        assert words.lower() in results[name]["message"].lower(), f"{name}: {results[name]['message']}"
    lines = [line for line in found["log"].splitlines() if not line.startswith(QUIET)]
    assert lines == []
