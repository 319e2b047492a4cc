"""A strip of days as inline SVG: a state is a height and a pattern, and only then a colour."""

from __future__ import annotations

from html import escape
from itertools import groupby
from operator import attrgetter

from django.utils.safestring import SafeString

from django_lifesigns.dashboard.sentences import OF_DAY, day_title
from django_lifesigns.dashboard.strips import DAYS, STATES, UNKNOWN, Strip
from django_lifesigns.history.objectives.sentence import Phrases

HEIGHT = 16
# Of the bar of a day.
HEIGHTS = {"e": 16, "d": 12, "m": 12, "b": 8, "h": 8, UNKNOWN: 2}
# By the id that the page defines.
PATTERNS = {"m": ' fill="url(#maintenance)"', "b": ' fill="url(#blocked)"'}
PLAIN = (STATES["healthy"], UNKNOWN)
NAMES = {letter: name for name, letter in STATES.items()} | {UNKNOWN: "unknown"}
BARS = {
    letter: f'<rect class="{name}" y="{HEIGHT - HEIGHTS[letter]}" height="{HEIGHTS[letter]}"{PATTERNS.get(letter, "")}'
    for letter, name in NAMES.items()
}
SECONDS_OF_DAY = attrgetter(*OF_DAY)
START = f'<svg class="strip" viewBox="0 0 {DAYS} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="'


def strip_svg(strip: Strip, summary: str, phrases: Phrases) -> SafeString:
    """Return the strip, for which the summary stands in where it is not seen."""
    parts = [START, escape(summary), '">']
    dates, days = strip.dates, strip.days
    position = 0
    for letter, group in groupby(strip.states):
        bar, width = BARS[letter], len([*group])
        if letter in PLAIN:
            parts.append(f'{bar} x="{position}" width="{width}"/>')
        else:
            for number in range(position, position + width):
                title = escape(day_title(dates[number], SECONDS_OF_DAY(days[number]), phrases))
                parts.append(f'{bar} x="{number}" width="1"><title>{title}</title></rect>')
        position += width
    return SafeString("".join([*parts, "</svg>"]))
