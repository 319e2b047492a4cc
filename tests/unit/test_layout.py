"""The layout of the Python package: no module imports itself by way of others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "python/lifesigns"


def imported(node: ast.AST) -> Iterator[str]:
    """The modules of the package that are imported, inside functions too, but not for types alone."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for statement in child.orelse:
                yield from imported(statement)
            continue
        if isinstance(child, ast.ImportFrom) and (child.module or "").split(".")[0] == "lifesigns":
            _, _, module = str(child.module).partition(".")
            yield from [module.partition(".")[0]] if module else [alias.name for alias in child.names]
        yield from imported(child)


def test_modules_import_each_other_in_one_direction() -> None:
    arrows = {path.stem: set(imported(ast.parse(path.read_text()))) for path in PACKAGE.glob("*.py")}
    del arrows["__init__"]

    def reachable(name: str, seen: set[str]) -> set[str]:
        for other in arrows.get(name, set()) - seen:
            seen.add(other)
            reachable(other, seen)
        return seen

    assert [name for name in arrows if name in reachable(name, set())] == []
