"""The page of the fault matrix says of itself what its rows say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import page


def matrix() -> str:
    return page.PAGE.read_text().partition("<!-- matrix -->\n")[2].partition("<!-- end of matrix -->")[0]


def test_headline__is_that_of_the_rows() -> None:
    assert page.COUNT.search(matrix())
    assert page.with_count(matrix()) == matrix()


def test_accept_rows__counts_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    copy = tmp_path / page.PAGE.name
    copy.write_text(page.PAGE.read_text())
    count = matrix().count("\n| ") - 2
    monkeypatch.setattr(page, "PAGE", copy)
    page.accept_rows("matrix", [("a new fault", "Redis", *["0"] * 8, "threads: 3 more")])
    assert f"\n{count + 1} cells; 1 broke a bound. Bounds:" in matrix()
    page.accept_rows("matrix", [("a new fault", "Redis", *["0"] * 8, "kept")])
    assert f"\n{count + 1} cells; 0 broke a bound. Bounds:" in matrix()
