"""A line chart as SVG: logarithmic axes, light and dark pages alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 460, 320
LEFT, RIGHT, TOP, BOTTOM = 66, 14, 58, 46
# Okabe and Ito's palette: distinct for people with colour blindness, too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
STYLE = "text{font:12px sans-serif;fill:#777} .grid{stroke:#7774} .title{font-weight:bold;font-size:13px}"

Points = Mapping[int, float]


@dataclass(frozen=True)
class Chart:
    """Lines by their names; the unit of y is part of its label."""

    title: str
    x: str
    y: str
    lines: Mapping[str, Points]


def svg(charts: Sequence[Chart]) -> str:
    """The charts beside each other."""
    panels = "".join(
        f'<g transform="translate({WIDTH * index} 0)">{"".join(_panel(chart))}</g>\n'
        for index, chart in enumerate(charts)
    )
    size = f'width="{WIDTH * len(charts)}" height="{HEIGHT}" viewBox="0 0 {WIDTH * len(charts)} {HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<style>{STYLE}</style>\n{panels}</svg>\n'


def _panel(chart: Chart) -> list[str]:
    counts = sorted({count for points in chart.lines.values() for count in points})
    values = [value for points in chart.lines.values() for value in points.values()]
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)

    def x(count: float) -> float:
        low, high = math.log(counts[0]), math.log(counts[-1])
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log(count) - low) / (high - low)

    def y(value: float) -> float:
        share = (math.log10(value) - decades[0]) / (decades[-1] - decades[0])
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    def text(at: float, down: float, words: str, anchor: str = "middle", kind: str = "") -> str:
        return f'<text x="{at:.1f}" y="{down:.1f}" text-anchor="{anchor}" class="{kind}">{escape(words)}</text>'

    found = [text(LEFT, 16, chart.title, "start", "title"), text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, chart.x)]
    found.append(f'<g transform="rotate(-90 14 {HEIGHT / 2})">{text(14, HEIGHT / 2, chart.y)}</g>')
    for decade in decades:
        at = y(10.0**decade)
        found.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" class="grid"/>')
        found.append(text(LEFT - 6, at + 4, f"{10**decade:,}", "end"))
    found += [text(x(count), HEIGHT - BOTTOM + 18, f"{count:,}") for count in counts]
    left = float(LEFT)
    for (name, points), colour in zip(chart.lines.items(), COLOURS, strict=False):
        path = " ".join(f"{x(count):.1f},{y(value):.1f}" for count, value in sorted(points.items()))
        found.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        found += [
            f'<circle cx="{x(count):.1f}" cy="{y(value):.1f}" r="3" fill="{colour}"/>'
            for count, value in points.items()
        ]
        found.append(f'<rect x="{left:.0f}" y="28" width="10" height="10" fill="{colour}"/>')
        found.append(text(left + 14, 38, name, "start"))
        left += 28 + 6.6 * len(name)
    return found
