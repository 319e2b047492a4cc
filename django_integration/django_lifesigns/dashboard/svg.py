"""A strip of days as inline SVG: a state is a height and a pattern, and only then a colour."""

from __future__ import annotations

from html import escape
from itertools import groupby

from django.utils.safestring import SafeString

from django_lifesigns.dashboard.sentences import day_words
from django_lifesigns.dashboard.shapes import StripDay, StripEntry
from django_lifesigns.dashboard.strips import DAYS, STATES, UNKNOWN
from django_lifesigns.history.objectives.sentence import Phrases

HEIGHT = 16
# Of the bar of a day.
HEIGHTS = {"e": 16, "d": 12, "m": 12, "b": 8, "h": 8, UNKNOWN: 2}
# By the id that the page defines.
PATTERNS = {"m": ' fill="url(#maintenance)"', "b": ' fill="url(#blocked)"'}
PLAIN = (STATES["healthy"], UNKNOWN)
NAMES = {letter: name for name, letter in STATES.items()} | {UNKNOWN: "unknown"}
SHAPES = {
    letter: f'class="{name}" y="{HEIGHT - HEIGHTS[letter]}" height="{HEIGHTS[letter]}"{PATTERNS.get(letter, "")}'
    for letter, name in NAMES.items()
}


def strip_svg(strip: StripEntry, phrases: Phrases) -> SafeString:
    """Return the strip, whose summary stands in for it where it is not seen."""
    days = {day["date"]: day for day in strip["days"]}
    notable = iter(sorted(days))
    bars = []
    position = 0
    for letter, group in groupby(strip["states"]):
        count = len(list(group))
        if letter in PLAIN:
            bars.append(_bar(letter, position, count))
        else:
            for number in range(position, position + count):
                bars.append(_bar(letter, number, 1, day_title(days[next(notable)], phrases)))
        position += count
    label = escape(strip["summary"])
    text = (
        f'<svg class="strip" viewBox="0 0 {DAYS} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{label}">{"".join(bars)}</svg>'
    )
    return SafeString(text)


def _bar(letter: str, start: int, width: int, title: str = "") -> str:
    text = f'<rect {SHAPES[letter]} x="{start}" width="{width}"'
    return f"{text}><title>{escape(title)}</title></rect>" if title else f"{text}/>"


def day_title(day: StripDay, phrases: Phrases) -> str:
    """Return what a day was, with its date."""
    seconds = {
        "error": day["error_seconds"],
        "degraded": day["degraded_seconds"],
        "maintenance": day["maintenance_seconds"],
        "blocked": day["blocked_seconds"],
    }
    return f"{day['date']}: {day_words(seconds, phrases)}"
