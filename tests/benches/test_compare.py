"""The comparison runs, in a short mode whose figures mean nothing, and judges figures rightly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benches.comparison.plot import Chart, svg
from benches.comparison.verdict import Number, read, worse, write
from tests.django.projects import ROOT

PROMISED = 14
CONTENDERS = ("Lifesigns, 22 checks", "django-health-check 4.8, 6 checks", "plain Python, 22 checks", "the floor")


@pytest.mark.services
def test_compare__short() -> None:
    command = [sys.executable, "-m", "benches.compare", "--short"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line[:2] == "| "]
    judged = [row for row in rows if row[-1] in ("kept", "**missed**")]
    # The wheel is not built, uvicorn (2 numbers) not started, the workers (3) not kept busy: that takes long.
    assert len(judged) == PROMISED - 6
    for contender in CONTENDERS:
        swept = [row for row in rows if row[0].startswith(contender) and len(row) >= 7]
        assert len(swept) == 2, done.stdout
        assert all(0 < float(cell) < 60_000 for row in swept for cell in row[1:5])


def number(value: float, bound: float | None = None, *, more_is_better: bool = False, unit: str = "x") -> Number:
    return Number(key="a", what="a", value=value, bound=bound, more_is_better=more_is_better, unit=unit)


@pytest.mark.parametrize(
    ("judged", "kept"),
    [
        (number(1.25, 1.25), True),
        (number(1.26, 1.25), False),
        (number(1.0, 1.0, more_is_better=True), True),
        (number(0.99, 1.0, more_is_better=True), False),
        (number(5.1, 5.0, unit="ms"), False),
        (number(99.0), True),
    ],
)
def test_number__against_its_bound(judged: Number, kept: bool) -> None:
    assert judged.kept is kept


@pytest.mark.parametrize(
    ("now", "before", "complains"),
    [
        (number(1.2), 1.0, False),
        (number(1.21), 1.0, True),
        (number(0.5), 1.0, False),
        (number(0.84, more_is_better=True), 1.0, False),
        (number(0.83, more_is_better=True), 1.0, True),
        (number(9.0, unit="ms"), 1.0, False),
    ],
)
def test_worse__by_more_than_a_fifth(now: Number, before: float, complains: bool) -> None:
    assert bool(worse([now], {"a": before})) is complains
    assert worse([now], {}) == []


def test_ratio__with_the_spread_of_the_turns() -> None:
    ratio = Number.ratio([1.0, 1.0, 4.0, 4.0], [2.0, 2.0, 4.0, 4.0], turns=2, key="a", what="a")
    assert ratio.value == pytest.approx(2.5 / 3)
    assert ratio.low == pytest.approx(0.525)
    assert ratio.high == pytest.approx(0.975)


def test_baseline__holds_ratios_only(tmp_path: Path) -> None:
    file = tmp_path / "bench" / "ratios.json"
    write(file, [number(0.123456), Number(key="import", what="import", value=4.0, unit="ms")])
    assert read(file) == {"a": 0.1235}


def test_plot__is_svg_with_every_point() -> None:
    chart = Chart("<title>", "checks", "µs", {"one": {22: 10.0, 1000: 400.0}, "other": {22: 30.0, 1000: 900.0}})
    root = ElementTree.fromstring(svg([chart, chart]))
    tags = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert (tags.count("polyline"), tags.count("circle")) == (4, 8)
    assert "<title>" in "".join(root.itertext())
