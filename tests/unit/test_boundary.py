"""Rules of the tree that no compiler knows."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_engine_knows_nothing_of_django() -> None:
    sources = [*(ROOT / "python").rglob("*.py"), *(ROOT / "src").rglob("*.rs")]
    assert [str(path) for path in sources if re.search(r"^\s*(import|from) django", path.read_text(), re.M)] == []


def test_nothing_of_python_is_made_on_first_use() -> None:
    # pyo3 lets go of the interpreter while it makes such a thing, and a child that is forked meanwhile waits for ever.
    lazily = r"\b(PyOnceLock|GILOnceCell|intern!|get_or_init_py_attached)"
    assert [str(path) for path in (ROOT / "src").rglob("*.rs") if re.search(lazily, path.read_text())] == []
