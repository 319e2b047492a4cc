"""Rules of the tree that no compiler knows."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_only_the_boundary_knows_pyo3() -> None:
    offenders = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "src").rglob("*.rs")
        if re.search(r"\b(pyo3|pythonize)\b", path.read_text()) and path.parent.name != "python"
    ]
    assert offenders == []


def test_the_engine_knows_nothing_of_django() -> None:
    sources = [*(ROOT / "python").rglob("*.py"), *(ROOT / "src").rglob("*.rs")]
    assert [str(path) for path in sources if re.search(r"^\s*(import|from) django", path.read_text(), re.M)] == []
