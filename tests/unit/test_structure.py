"""The structure that src/lib.rs draws: floors of modules, no circles, one meaning for each name."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
PACKAGE = ROOT / "python/lifesigns"
DJANGO = ROOT / "django_integration/django_lifesigns"
TESTS_ONLY = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\n]*\]\s*)*(?:pub(?:\([a-z]+\))? )?mod \w+ ")
COMMENT = re.compile(r"//[^\n]*")

# What is still open, to be emptied; anything new fails.
OPEN_UPWARD: set[tuple[str, str]] = set()
OPEN_CIRCLES: dict[str, set[str]] = {}
OPEN_NAMES: set[str] = set()


def rust_files() -> list[Path]:
    """Return the sources that are no tests."""
    return sorted(path for path in SRC.rglob("*.rs") if not {"tests", "tests.rs"} & set(path.relative_to(SRC).parts))


def code(path: Path) -> str:
    """Return a file without its comments and without what is compiled for tests only, which stands at its end."""
    return TESTS_ONLY.split(COMMENT.sub("", path.read_text()))[0]


def floors() -> list[list[str]]:
    """Return the floors of src/lib.rs, from the ground."""
    text = (SRC / "lib.rs").read_text()
    picture = re.search(r"//! The floors.*?\n((?://! `.*\n)+)", text)
    assert picture, "src/lib.rs draws no floors"
    line = picture.group(1).replace("//!", " ")
    return [re.findall(r"`(\w+)`", floor) for floor in line.split("·")]


def imported(text: str) -> set[str]:
    """Return the top modules of the crate that a text names: `use crate::x::...`, `use crate::{x, y}`, `crate::x::`."""
    single = set(re.findall(r"\bcrate::(\w+)", text))
    groups = re.findall(r"\bcrate::\{([^;]*)\}", text)
    return single | {name for group in groups for name in re.findall(r"(?:^|,)\s*(\w+)", group)}


def circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def assert_no_circle(graph: dict[str, set[str]], place: str) -> None:
    known = OPEN_CIRCLES.get(place, set())
    found = circle({name: others - known if name in known else others for name, others in graph.items()})
    assert found == [], " -> ".join(found)


def test_floors_name_every_module_once() -> None:
    named = [name for floor in floors() for name in floor]
    folders = {path.name for path in SRC.iterdir() if path.is_dir()}
    assert sorted(named) == sorted(folders)


def test_modules_import_only_from_floors_below() -> None:
    height = {name: number for number, floor in enumerate(floors()) for name in floor}
    upward = set()
    for path in rust_files():
        module = path.relative_to(SRC).parts[0]
        if module == "lib.rs":
            continue
        for other in (imported(code(path)) & height.keys()) - {module}:
            if height[other] >= height[module]:
                upward.add((str(path.relative_to(SRC)), other))
    assert upward <= OPEN_UPWARD


def rust_graph(folder: Path) -> dict[str, set[str]]:
    """Return which file of a folder (a subfolder counts as one) names which other by `super::` or its full path."""
    units = {path.stem: [path] for path in folder.glob("*.rs") if path.name not in ("mod.rs", "lib.rs", "tests.rs")}
    for path in folder.iterdir():
        if path.is_dir():
            units.setdefault(path.name, []).extend(rust_files_below(path))
    prefix = "::".join(("crate", *folder.relative_to(SRC).parts))
    graph: dict[str, set[str]] = defaultdict(set)
    for name, files in units.items():
        for path in files:
            # As many `super` as the file is below the folder.
            up = "super::" * (len(path.relative_to(folder).parts) - (path.name == "mod.rs" and path.parent != folder))
            text = code(path)
            found = set(re.findall(rf"(?<!super::){up}(\w+)", text)) | set(re.findall(rf"{prefix}::(\w+)", text))
            for group in re.findall(rf"(?:(?<!super::){up}|{prefix}::)\{{([^;]*)\}}", text):
                found |= set(re.findall(r"(?:^|,|\n)\s*(\w+)", group))
            graph[name] |= (found & units.keys()) - {name}
    return graph


def rust_files_below(folder: Path) -> list[Path]:
    return [path for path in rust_files() if path.is_relative_to(folder)]


FOLDERS = [SRC, *sorted(path for path in SRC.rglob("*") if path.is_dir())]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(SRC.parent)))
def test_files_of_a_folder_have_no_circle(folder: Path) -> None:
    assert_no_circle(rust_graph(folder), folder.relative_to(SRC).as_posix())


def test_type_names_have_one_meaning() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for path in rust_files():
        # At the start of a line: what is declared inside of a function or an `impl` is its own business.
        for name in re.findall(r"^(?:pub(?:\([a-z ]+\))? )?(?:struct|enum|trait|type|union) (\w+)", code(path), re.M):
            homes[name].append(str(path.relative_to(SRC)))
    # One type for each operating system is one meaning.
    twice = {name: files for name, files in homes.items() if len(set(files)) > 1}
    assert twice.keys() <= OPEN_NAMES, twice


def test_only_the_boundary_knows_pyo3() -> None:
    offenders = [
        str(path.relative_to(SRC))
        for path in SRC.rglob("*.rs")
        if re.search(r"\b(pyo3|pythonize)\b", COMMENT.sub("", path.read_text()))
        and path.relative_to(SRC).parts[0] != "python"
    ]
    assert offenders == []


def python_modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Return the modules of the package by their names."""
    modules = {}
    for path in package.rglob("*.py"):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def python_imports(path: Path, modules: Iterable[str]) -> set[str]:
    """Return the modules of the package that a file imports, in functions too, but for type checkers only."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            inside = below & set(modules)
            # `from lifesigns import _core` needs the package's namespace only.
            names |= inside or {node.module}
    return names & set(modules)


def test_python_modules_have_no_circle() -> None:
    modules = python_modules()
    # The package itself shows what the modules define: that each needs it is no circle of its own making.
    graph = {name: python_imports(path, modules) - {name, "lifesigns"} for name, path in modules.items()}
    assert_no_circle(graph, "python/lifesigns")


def rooms() -> list[str]:
    """Return the rooms that the Django package names, from the ground."""
    drawn = ast.get_docstring(ast.parse((DJANGO / "__init__.py").read_text())) or ""
    return re.findall(r"`(\w+)`", drawn.partition("test_structure.py`):")[2].partition(".\n")[0])


def test_django_rooms_are_named_once() -> None:
    folders = {path.parent.name for path in DJANGO.glob("*/*.py")} - {"migrations"}
    assert sorted(rooms()) == sorted(folders)


def test_django_rooms_import_only_from_rooms_before() -> None:
    modules = python_modules(DJANGO)
    height = {room: number for number, room in enumerate(rooms())}
    upward = set()
    for name, path in modules.items():
        room = name.split(".")[1:2]
        for other in python_imports(path, modules):
            others = other.split(".")[1:2]
            if room and others and height.keys() >= {*room, *others} and height[others[0]] > height[room[0]]:
                upward.add((name, other))
    assert upward == set()


def test_django_modules_have_no_circle() -> None:
    modules = python_modules(DJANGO)
    graph = {name: python_imports(path, modules) - {name, "django_lifesigns"} for name, path in modules.items()}
    assert_no_circle(graph, "django_lifesigns")


def test_django_has_one_json_encoder() -> None:
    others = [
        path.relative_to(DJANGO).as_posix()
        for path in DJANGO.rglob("*.py")
        if re.search(r"(?<!kombu\.utils\.)\bjson\.dumps?\b|\bDjangoJSONEncoder\(", path.read_text())
    ]
    assert others == ["history/json_text.py"]
