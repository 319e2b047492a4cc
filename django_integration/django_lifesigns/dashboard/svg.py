"""A strip of days as inline SVG: a state is a height and a pattern, and only then a colour."""

from __future__ import annotations

import re
from html import escape

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
# Days that are drawn as one, or one day.
RUNS = re.compile("|".join([*(f"{letter}+" for letter in PLAIN), "."]))
NAMES = {letter: name for name, letter in STATES.items()} | {UNKNOWN: "unknown"}
BARS = {
    letter: f'<rect class="{name}" y="{HEIGHT - HEIGHTS[letter]}" height="{HEIGHTS[letter]}"{PATTERNS.get(letter, "")}'
    for letter, name in NAMES.items()
}
START = f'<svg class="strip" viewBox="0 0 {DAYS} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="'


def strip_svg(strip: Strip, summary: str, phrases: Phrases) -> SafeString:
    """Return the strip, for which the summary stands in where it is not seen."""
    parts = [START, escape(summary), '">']
    states, dates = strip.states, strip.dates
    texts = [(phrases(text), strip.seconds[state]) for state, text in OF_DAY.items() if state in strip.seconds]
    for run in RUNS.finditer(states):
        start, end = run.span()
        bar = BARS[states[start]]
        if states[start] in PLAIN:
            parts.append(f'{bar} x="{start}" width="{end - start}"/>')
        else:
            seconds = [(text, days[start]) for text, days in texts if start in days]
            title = escape(day_title(dates[start], seconds, phrases))
            parts.append(f'{bar} x="{start}" width="1"><title>{title}</title></rect>')
    return SafeString("".join([*parts, "</svg>"]))
