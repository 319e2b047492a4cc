"""Ninety days of two hosts, and the exported rules in Prometheus' own tool, against a model that knows each minute."""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from django_lifesigns.dashboard.strips import NOT_PLAIN, STATES, UNKNOWN, Strip, availability, read_strips
from django_lifesigns.history.objectives.budget import PAIRS, WINDOWS
from django_lifesigns.history.objectives.prometheus import rules
from django_lifesigns.history.objectives.sentence import sentence
from django_lifesigns.history.objectives.state import ObjectiveState, read_states
from django_lifesigns.history.objectives.targets import Target
from django_lifesigns.history.reports.cells import figures
from django_lifesigns.history.reports.collect import History
from django_lifesigns.history.reports.in_time import complete
from django_lifesigns.history.rollups.allot import Cursor, Increments, allot, totals
from django_lifesigns.history.rollups.periods import DAY, HOUR, MINUTE, PERIODS, TOTAL
from django_lifesigns.history.rollups.reading import segments
from django_lifesigns.history.rollups.upsert import add
from django_lifesigns.models import Rollup
from django_lifesigns.runtime.engine import get_engine
from tests.django.test_rollups_allot import counters
from tests.loops import times
from tests.process.prometheus import promtool

pytestmark = pytest.mark.django_db

STATUSES = ("healthy", "degraded", "error", "unknown")


class Host:
    """What the checks of one host were in each minute: a letter for the parent's status and for the child's.

    `.` is a minute in which nothing ran.
    """

    def __init__(self, parent: str, child: str) -> None:
        self.checks = {"parent": parent, "child": child}
        # Minutes before which it is rolled up, too.
        self.also: set[int] = set()

    def samples(self, start: int, name: str) -> Iterator[dict[str, Any]]:
        """Yield the engine's counters, as it has them: from zero after each restart, the child's without a run."""
        totals: dict[str, dict[str, float]] = {}
        epoch = ""
        for minute, letters in enumerate(zip(*self.checks.values(), strict=True)):
            at = float(start + 60 * (minute + 1))
            if "." in letters:
                epoch = ""
                continue
            if not epoch:
                epoch, since = f"{name}{minute}", at - 60
                totals = {check: dict.fromkeys((*STATUSES, "error_stretches"), 0.0) for check in self.checks}
            for check, letter in zip(self.checks, letters, strict=True):
                status = {"h": "healthy", "d": "degraded", "e": "error", "b": "unknown"}[letter]
                totals[check][status] += 60
                before = self.checks[check][minute - 1] if minute else "."
                totals[check]["error_stretches"] += letter == "e" != before
            following = tuple(own[minute + 1 : minute + 2] for own in self.checks.values())
            # Where a status changes, where a host starts or ends, each half hour, and each minute of the last day.
            if (
                following != letters
                or minute + 1 in self.also
                or minute % 30 == 29
                or minute > len(self.checks["parent"]) - 26 * 60
            ):
                parents = {"parent": (), "child": ("parent",)}
                yield {
                    check: counters(at, f"{epoch}{check}", parents[check], since=since, **totals[check])
                    for check in self.checks
                }


def roll_up_all(hosts: Sequence[Host], start: int, maintenance: Sequence[tuple[float, float]]) -> None:
    """Write the roll-ups that are still kept at the end: host by host, from one start or end of one to the next."""
    presence = _changes_of_presence(hosts, start)
    for host in hosts:
        host.also = {int(at - start) // 60 for at in presence}
    samples = [list(host.samples(start, f"{number}-")) for number, host in enumerate(hosts)]
    cursors = {
        each["epoch"]: Cursor(int(each["since"]), each["since"], {})
        for own in samples
        for sample in own
        for each in sample.values()
    }
    end = float(start + 60 * len(hosts[0].checks["parent"]))
    for until in [*presence, math.inf]:
        for number, own in enumerate(samples):
            turn = [sample for sample in own if sample["parent"]["at"] <= until]
            samples[number] = own[len(turn) :]
            if turn:
                _roll_up(turn, cursors, dict.fromkeys(hosts[0].checks, maintenance), end)


def _changes_of_presence(hosts: Sequence[Host], start: int) -> list[float]:
    """Return when a host has started or ended: between two of these each has counted all the time, or not at all."""
    found = set()
    for host in hosts:
        letters = host.checks["parent"]
        found |= {
            float(start + 60 * minute)
            for minute in range(1, len(letters))
            if (letters[minute] == ".") != (letters[minute - 1] == ".")
        }
    return sorted(found)


def _roll_up(turn: Sequence[Any], cursors: dict[str, Cursor], maintenance: Any, end: float) -> None:
    increments = allot(turn, cursors, maintenance)
    for sample in turn:
        for each in sample.values():
            cursors[each["epoch"]] = Cursor(int(each["since"]), each["at"], totals(each))
    kept = {period.name: period.kept_since(end) for period in PERIODS}
    increments.rows = {key: row for key, row in increments.rows.items() if key.start >= kept.get(key.period, math.inf)}
    add(increments, "default")


def random_host(minutes: int, seed: int) -> Host:
    """A host with faults, slow times and restarts; its child has faults of its own, and is blocked by the parent's."""
    chance = random.Random(seed)
    parent = ["h"] * minutes
    child = ["h"] * minutes
    for letters, count in ((parent, 40), (child, 25)):
        for _ in range(count):
            at, length = chance.randrange(minutes), chance.choice([1, 2, 5, 30, 90])
            letters[at : at + length] = [chance.choice("eed")] * len(letters[at : at + length])
    for minute, letter in enumerate(parent):
        if letter == "e":
            # Found in error, too, before its parent was, then not run any more.
            child[minute] = "e" if minute and parent[minute - 1] != "e" else "b"
    for _ in range(30):
        at, length = chance.randrange(minutes), chance.choice([1, 3, 20, 400])
        for letters in (parent, child):
            letters[at : at + length] = ["."] * len(letters[at : at + length])
    return Host("".join(parent), "".join(child))


FIGURES = ("healthy", "degraded", "error", "blocked", "maintenance", "covered")


def model(hosts: Sequence[Host], check: str, planned: Sequence[bool]) -> list[Counter[str]]:
    """Return the seconds of each minute, by what they were, of all hosts."""
    minutes: list[Counter[str]] = []
    for minute, is_planned in enumerate(planned):
        seconds: Counter[str] = Counter()
        for host in hosts:
            letter = host.checks[check][minute]
            if letter == ".":
                continue
            is_blocked = check == "child" and host.checks["parent"][minute] == "e"
            found = "blocked" if is_blocked else {"h": "healthy", "d": "degraded", "e": "error"}.get(letter)
            seconds["maintenance" if is_planned else found or "unknown"] += 60
        # However many hosts know it, a minute is one.
        seconds["covered"] = 60 * bool(seconds.keys() - {"unknown"})
        minutes.append(seconds)
    return minutes


def total(minutes: Iterable[Counter[str]], *figures: str) -> int:
    return sum(seconds[figure] for seconds in minutes for figure in figures)


@pytest.mark.parametrize("seed", range(times(1, 4)))
@pytest.mark.parametrize("last_day", ["2026-11-11", "2027-04-02"], ids=["autumn", "spring"])
def test_ninety_days_equal_the_model_of_each_minute(seed: int, last_day: str, settings: Any) -> None:
    """Faults, gaps, maintenance, restarts, two hosts, and a change of the clocks within the last 35 days."""
    settings.TIME_ZONE = "Europe/Berlin"
    zone = ZoneInfo(settings.TIME_ZONE)
    midnight = int(datetime.fromisoformat(f"{last_day}T00:00+00:00").timestamp())
    minutes = 90 * 1_440
    end = midnight + 60 * random.Random(seed).randrange(60, 1_440)
    start = end - 60 * minutes
    hosts = [random_host(minutes, 2 * seed), random_host(minutes, 2 * seed + 1)]
    nights = [midnight - 7 * DAY.seconds * week for week in range(13)]
    maintenance = sorted((night + 7_200.0, night + 10_800.0) for night in nights)
    planned = [any(first <= start + 60 * minute < last for first, last in maintenance) for minute in range(minutes)]
    roll_up_all(hosts, start, maintenance)
    targets = {"parent": Target(99.9, 30), "child": Target(99.5, 28, degraded_is_bad=True)}
    states = {state.check: state for state in read_states(targets, float(end))}
    assert {row.period for row in Rollup.objects.all()} == {"minute", "hour", "day"}
    strips = read_strips(float(end))
    for check, target in targets.items():
        modelled = model(hosts, check, planned)
        _compare_rows(check, modelled, start)
        _compare_strip(strips[check], modelled, start)
        bad = ("error", "degraded") if target.degraded_is_bad else ("error",)
        good = tuple({"healthy", "degraded"} - {*bad})
        budget = states[check].budget
        lengths = {**WINDOWS, target.window: target.seconds}
        for name, spent in {**budget.windows, target.window: budget.period}.items():
            first = (segments(end - lengths[name], end, end)[0][1] - start) // 60
            expected = (total(modelled[first:], *good), total(modelled[first:], *bad))
            assert (spent.good, spent.bad) == pytest.approx(expected, abs=0.01), (check, name)
            counted = total(modelled[first:], *(set(FIGURES) - {"covered"}))
            known = sum(expected) * total(modelled[first:], "covered") / counted
            assert spent.known_seconds == pytest.approx(min(known, spent.length), abs=0.01), (check, name)
        share = budget.period.bad_seconds / budget.period.bad
        lost: defaultdict[date, float] = defaultdict(float)
        for minute, seconds in enumerate(modelled[first:], first):
            if lost_here := total([seconds], *bad):
                lost[datetime.fromtimestamp(start + 60 * minute, zone).date()] += lost_here * share
        assert states[check].lost_on == pytest.approx(lost, abs=0.01)


@pytest.mark.parametrize("hours", [1, 20])
def test_known_time_of_several_hosts_is_not_theirs_together(hours: int) -> None:
    """In the first hours two hosts that fail for six minutes know of an hour, and have spent six minutes."""
    minutes = 60 * hours
    end = HOUR.start(time.time())
    start = end - 60 * minutes
    letters = outages(minutes, (30, 6))
    roll_up_all([Host(letters, letters) for _ in range(2)], start, [])
    target = Target(99.9, 30)
    [state] = read_states({"parent": target}, float(end))
    period = state.budget.period
    assert period.known == pytest.approx(2 * 3_600 * hours)
    assert (period.known_seconds, period.bad_seconds) == pytest.approx((3_600 * hours, 360))
    assert state.budget.remaining == pytest.approx(1 - 360 / state.budget.seconds)
    assert f"it is known for {hours} h so far" in sentence(state)
    assert sum(state.lost_on.values()) == pytest.approx(360)
    # Half of three days are not known after twenty hours of two hosts, and nothing is said of their pace.
    assert state.budget.burn("3d") is None


def test_report_counts_a_second_once_however_many_hosts_know_it() -> None:
    """Each minute of two hosts is the mean of both, be it bad, planned or blocked."""
    minutes = 3 * 1_440
    end = DAY.start(time.time())
    start = end - 60 * minutes
    found = [random_host(minutes, seed) for seed in (5, 6)]
    # Both know all of the time.
    hosts = [Host(*(letters.replace(".", "h") for letters in host.checks.values())) for host in found]
    maintenance = [(start + 7_200.0, start + 10_800.0)]
    planned = [7_200 <= 60 * minute < 10_800 for minute in range(minutes)]
    roll_up_all(hosts, start, maintenance)
    since, until = (datetime.fromtimestamp(at, timezone.utc) for at in (start, end))
    report = complete(History(since, until, {}, [], []), get_engine(), 60.0)
    for check in ("parent", "child"):
        modelled = model(hosts, check, planned)
        expected = [
            sum(seconds[name] / len(hosts) for seconds in modelled) for name in ("error", "maintenance", "blocked")
        ]
        shown = figures(check, report)
        names = ("bad_seconds", "maintenance_seconds", "blocked_seconds")
        assert [shown[name] for name in names] == pytest.approx(expected, abs=0.01), check
        assert shown["bad_seconds"] > 0
        known = total(modelled, "healthy", "degraded", "error") / len(hosts)
        assert shown["availability_percentage"] == pytest.approx(100 * (1 - shown["bad_seconds"] / known), abs=0.001)


def _compare_rows(check: str, modelled: Sequence[Counter[str]], start: int) -> None:
    """Each row of a check that is still kept is what the model has of its time."""
    end = start + 60 * len(modelled)
    for period in PERIODS:
        rows = Rollup.objects.filter(check_name=check, period=period.name, start__gte=period.kept_since(end))
        assert period is not DAY or rows.count() == 91
        for row in rows:
            first = max(0, (row.start - start) // 60)
            last = max(0, (row.start + period.seconds - start) // 60)
            expected = [total(modelled[first:last], figure) for figure in FIGURES]
            assert [getattr(row, figure) for figure in FIGURES] == pytest.approx(expected, abs=0.01), (check, row)


def _compare_strip(strip: Strip, modelled: Sequence[Counter[str]], start: int) -> None:
    """Each day of the dashboard is the worst of its minutes, in the mean over the hosts that knew them."""
    starts = range((strip.first - start) // 60, len(modelled), 1_440)
    days = [modelled[first : first + 1_440] for first in starts]
    expected = [
        next((letter for state, letter in STATES.items() if total(minutes, state)), UNKNOWN) for minutes in days
    ]
    assert strip.states == "".join(expected)
    for state in NOT_PLAIN:
        hosts = [total(minutes, *STATES) / (total(minutes, "covered") or 1) for minutes in days]
        seconds = [total(minutes, state) / max(1.0, each) for minutes, each in zip(days, hosts, strict=True)]
        found = {number: each for number, each in enumerate(seconds) if each}
        assert strip.seconds.get(state, {}) == pytest.approx(found, abs=0.01), state
    of_days = [seconds for minutes in days for seconds in minutes]
    bad, known = total(of_days, "error"), total(of_days, "error", "degraded", "healthy")
    assert availability(strip) == pytest.approx(1 - bad / known)


# The exported rules


def outages(minutes: int, *parts: tuple[int, int]) -> str:
    """Healthy minutes, with (start, length) of those in error."""
    letters = ["h"] * minutes
    for at, length in parts:
        letters[at : at + length] = ["e"] * length
    return "".join(letters)


LENGTH = 4 * 1_440
# In minutes before the end: when, how long.
SCENARIOS = {
    "well": [],
    "ten minutes just now": [(10, 10)],
    "ten minutes, over for half an hour": [(40, 10)],
    "one minute": [(1, 1)],
    "three stretches of a minute": [(30, 1), (15, 1), (2, 1)],
    "slow burn": [(60 * hour, 1) for hour in range(1, 72, 2)],
    "long ago": [(3_000, 60)],
    "all day": [(300, 299)],
}


@pytest.mark.services
@pytest.mark.parametrize("target", [Target(99.9, 30), Target(99.0, 28)], ids=["99.9", "99"])
def test_exported_rules_agree_with_the_objectives(target: Target, tmp_path: Path) -> None:
    """`promtool test rules` works out the same rates from the same series, and fires for the same."""
    end = HOUR.start(time.time())
    start = end - 60 * LENGTH
    targets = dict.fromkeys((f"check_{number}" for number in range(len(SCENARIOS))), target)
    series, expressions = [], []
    for check, parts in zip(targets, SCENARIOS.values(), strict=True):
        letters = outages(LENGTH, *((LENGTH - before, length) for before, length in parts))
        state = _state(check, target, letters, start, end)
        series += list(_series(check, letters))
        expressions += list(_expected(state))
    (tmp_path / "rules.yml").write_text(rules("shop", targets))
    tests = {"interval": "1m", "input_series": series, "promql_expr_test": expressions}
    # Rarely, since it takes long, and so that what is evaluated at the end rests on what was just recorded.
    kinds = ("sli-recordings", "meta-recordings", "alerts")
    order = [f"sloth-slo-{kind}-shop-{check}" for check in targets for kind in kinds]
    file = {"rule_files": ["rules.yml"], "evaluation_interval": "6h", "group_eval_order": order, "tests": [tests]}
    (tmp_path / "test.yml").write_text(json.dumps(file))
    promtool("check", "rules", tmp_path / "rules.yml")
    promtool("test", "rules", tmp_path / "test.yml")


def _state(check: str, target: Target, letters: str, start: int, end: int) -> ObjectiveState:
    found = Increments()
    host = Host(letters, letters)
    samples = [{check: sample["parent"]} for sample in host.samples(start, check)]
    epoch = samples[0][check]["epoch"]
    # Each minute: these are pure sums, and the last ones alone have to be exact.
    found = allot(samples, {epoch: Cursor(start, float(start), {})}, {})
    found.rows = {key: figures for key, figures in found.rows.items() if key.period != TOTAL}
    add(found, "default")
    [state] = read_states({check: target}, float(end))
    return state


def _series(check: str, letters: str) -> Iterator[dict[str, str]]:
    """Yield the series of one instance: a sample at the start, and one after each minute."""
    for status, letter in (("healthy", "h"), ("error", "e"), ("degraded", "d")):
        # Far from 0, below which Prometheus extrapolates no counter.
        seconds, values = 1_000_000, ["1000000"]
        for each in letters:
            seconds += 60 * (each == letter)
            values.append(str(seconds))
        labels = f'check_name="{check}",status="{status}",instance="a"'
        yield {"series": f"health_check_status_seconds_total{{{labels}}}", "values": " ".join(values)}
        yield {
            "series": f"health_check_status{{{labels}}}",
            "values": " ".join(["0", *(str(int(each == letter)) for each in letters)]),
        }


def _expected(state: ObjectiveState) -> Iterator[dict[str, Any]]:
    at = f"{LENGTH}m"
    select = f'sloth_slo="{state.check}"'
    one = [{"labels": "{}", "value": 1}]
    for window in WINDOWS:
        share = (state.budget.burn(window) or 0.0) * state.budget.target.budget
        rate = f"slo:sli_error:ratio_rate{window}{{{select}}}"
        yield {"expr": f"sum(abs({rate} - {share!r}) < bool 1e-9)", "eval_time": at, "exp_samples": one}
    for severity in ("page", "ticket"):
        fires = any(pair.severity == severity for pair in state.budget.firing)
        alerts = f'ALERTS{{alertname="LifesignsBudgetBurns",sloth_severity="{severity}",{select}}}'
        value = [{"labels": "{}", "value": int(fires)}]
        yield {"expr": f"count({alerts}) or vector(0)", "eval_time": at, "exp_samples": value}


def test_scenarios_fire_and_do_not() -> None:
    """What the tool is asked about is not always the same."""
    end = HOUR.start(time.time())
    fired = {}
    for number, (name, parts) in enumerate(SCENARIOS.items()):
        letters = outages(LENGTH, *((LENGTH - before, length) for before, length in parts))
        state = _state(f"check_{number}", Target(99.9, 30), letters, end - 60 * LENGTH, end)
        fired[name] = [pair.name for pair in state.budget.firing]
    pairs = [pair.name for pair in PAIRS]
    assert fired == {
        "well": [],
        "ten minutes just now": pairs,
        "ten minutes, over for half an hour": ["1d/2h", "3d/6h"],
        "one minute": [],
        "three stretches of a minute": ["1h/5m", "6h/30m"],
        "slow burn": ["1d/2h", "3d/6h"],
        "long ago": [],
        "all day": pairs,
    }
    assert PERIODS[0] is MINUTE
