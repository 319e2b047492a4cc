"""Objectives: their settings, their arithmetic by the SRE workbook's examples, and what is said of them."""

from __future__ import annotations

import json
import re
import time
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

import lifesigns
from django_lifesigns.history.objectives import current
from django_lifesigns.history.objectives.budget import PAIRS, WINDOWS, Budget, Pair, Spent, pairs_of
from django_lifesigns.history.objectives.sentence import duration, sentence
from django_lifesigns.history.objectives.state import BUDGET_WINDOWS, ObjectiveState, for_engine, read_states
from django_lifesigns.history.objectives.targets import Target
from django_lifesigns.history.objectives.yaml import dump
from django_lifesigns.history.rollups.periods import DAY, HOUR, MINUTE
from django_lifesigns.history.rollups.reading import MOST_NAMES
from django_lifesigns.models import Rollup
from django_lifesigns.runtime.engine import get_runtime
from lifesigns import Engine

HOURS = 3_600.0
DAYS = 86_400.0
THREE_NINES = Target(99.9, 30)


def spent(length: float, bad_share: float, **more: Any) -> Spent:
    return Spent(length, length * (1 - bad_share), length * bad_share, **more)


def budget(bad_share: float = 0.0, target: Target = THREE_NINES, **windows: float) -> Budget:
    """Of which the period is known whole, and windows are by name without the leading underscore."""
    shares = {name.lstrip("_"): share for name, share in windows.items()}
    used = {name: spent(seconds, shares.get(name, 0.0)) for name, seconds in WINDOWS.items()}
    return Budget(target, spent(target.seconds, bad_share), used)


@pytest.mark.parametrize(
    ("days", "factors"),
    [
        # Table 5-8 of the workbook, and the same for 28 days.
        (30, {"1h/5m": 14.4, "6h/30m": 6.0, "1d/2h": 3.0, "3d/6h": 1.0}),
        (28, {"1h/5m": 13.44, "6h/30m": 5.6, "1d/2h": 2.8, "3d/6h": 0.9333}),
        (90, {"1h/5m": 43.2, "6h/30m": 18.0, "1d/2h": 9.0, "3d/6h": 3.0}),
        # Slower ones would not exhaust the budget within the period.
        (7, {"1h/5m": 3.36, "6h/30m": 1.4}),
    ],
)
def test_factors_scale_with_the_period(days: int, factors: dict[str, float]) -> None:
    found = {pair.name: pair.factor(days) for pair in pairs_of(Target(99.9, days))}
    assert found == pytest.approx(factors, abs=1e-4)


@pytest.mark.parametrize(
    ("burn_rate", "error_rate", "exhausted_days"), [(1, 0.001, 30), (2, 0.002, 15), (10, 0.01, 3), (1_000, 1.0, 0.03)]
)
def test_burn_rate_and_time_to_exhaustion_of_the_workbook(
    burn_rate: float, error_rate: float, exhausted_days: float
) -> None:
    """Table 5-4: burn rates, error rates for a target of 99.9%, and when the budget is gone."""
    found = budget(_1h=error_rate)
    assert found.burn("1h") == pytest.approx(burn_rate)
    assert found.exhausted_in == pytest.approx(exhausted_days * DAYS)


def of_the_first(seconds: float, bad_share: float) -> Budget:
    """A check that is known since so many seconds."""
    used = {name: spent(length, bad_share) for name, length in WINDOWS.items() if length <= seconds}
    known = spent(seconds, bad_share, stretches=1)
    longer = {name: Spent(length, known.good, known.bad, 1) for name, length in WINDOWS.items() if length > seconds}
    return Budget(THREE_NINES, Spent(30 * DAYS, known.good, known.bad, 1), {**used, **longer})


def test_first_minutes_spend_as_much_of_the_budget_as_later_ones() -> None:
    """Four bad minutes of the first six are not the end of a budget of 43."""
    found = of_the_first(360, 0.7)
    assert found.seconds == pytest.approx(43.2 * 60)
    assert found.remaining == pytest.approx(1 - 252 / 2_592)
    assert found.availability == pytest.approx(0.3)
    assert said(found) == "39 min of the budget of 43 min in 30 days are left (90%); it is known for 6 min so far."


@pytest.mark.parametrize(
    ("known", "windows", "firing"),
    [
        (360, {"5m"}, []),
        (1_799, {"5m", "30m"}, []),  # half an hour is half of 1 h
        (1_800, {"5m", "30m", "1h"}, ["1h/5m"]),
        (6 * HOURS, {"5m", "30m", "1h", "2h", "6h"}, ["1h/5m", "6h/30m"]),
        (1.5 * DAYS, set(WINDOWS), ["1h/5m", "6h/30m", "1d/2h", "3d/6h"]),
    ],
)
def test_no_pace_of_a_window_that_is_mostly_unknown_and_no_alarm(
    known: float, windows: set[str], firing: list[str]
) -> None:
    found = of_the_first(known, 0.7)
    assert {window for window in WINDOWS if found.burn(window) is not None} == windows
    assert [pair.name for pair in found.firing] == firing


def test_share_that_is_left_has_a_floor_and_the_time_has_none() -> None:
    assert budget(1.0).remaining == -1.0
    assert said(budget(1.0)) == "The budget of 43 min in 30 days is overspent by 29 d 23 h."


def test_budget_of_a_month_at_three_nines_is_43_minutes() -> None:
    assert budget().seconds == pytest.approx(43.2 * 60)
    assert budget(0.0005).remaining == pytest.approx(0.5)
    assert budget(0.002).remaining == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("long", "short", "fires"),
    [
        (0.0145, 0.0145, True),
        (0.0144, 0.0145, False),  # at the factor, not above it
        (0.0145, 0.0144, False),  # it is over
        (0.0145, 1.0, False),  # only in the short window so far, with less than 2 minutes in the long one
    ],
)
def test_pair_fires_above_its_factor_in_both_windows(long: float, short: float, fires: bool) -> None:
    # 0.0145 of an hour is 52 s: enough only as three stretches.
    found = budget(_1h=long, _5m=short)
    hour = spent(HOURS, long, stretches=3 if short < 1 else 1)
    state = Budget(found.target, found.period, {**found.windows, "1h": hour})
    assert state.fires(PAIRS[0]) is fires


@pytest.mark.parametrize(
    ("bad", "stretches", "fires"),
    [
        (60, 2, False),  # two bad results in an hour are burn rate 16.7, and page nobody
        (60, 3, True),
        (119, 1, False),
        (120, 1, True),
    ],
)
def test_pair_needs_two_minutes_or_three_stretches(bad: float, stretches: int, fires: bool) -> None:
    hour = Spent(HOURS, HOURS - bad, bad, stretches)
    found = Budget(THREE_NINES, spent(30 * DAYS, 0), {"1h": hour, "5m": spent(300, 0.2)})
    assert found.burn("1h") == pytest.approx(bad / 3.6)
    assert found.fires(PAIRS[0]) is fires


def test_several_sources_count_in_the_mean() -> None:
    # Of three hosts one is down for 6 minutes; and one for 20 s three times.
    one_down = Spent(HOURS, 3 * HOURS - 360, 360, 1)
    assert one_down.bad_seconds == pytest.approx(120)
    assert one_down.coverage == 1
    assert one_down.is_enough
    assert not Spent(HOURS, 3 * HOURS - 60, 60, 3).is_enough
    assert Spent(HOURS, HOURS / 2, 0).coverage == 0.5


def test_nothing_known_is_neither_good_nor_bad() -> None:
    found = Budget(THREE_NINES, Spent(30 * DAYS, 0, 0), {})
    assert (found.availability, found.remaining, found.exhausted_in, found.burn("1h"), found.firing) == (
        None,
        None,
        None,
        None,
        (),
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (5.4, "5 s"),
        (90, "1 min 30 s"),
        (2_592, "43 min"),
        (3_600, "1 h"),
        (187_300, "2 d 4 h"),
        (86_700, "1 d"),
        (30 * DAYS, "30 d"),
    ],
)
def test_duration_in_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def said(found: Budget, **lost: float) -> str:
    days = {date(2026, 11, int(day.lstrip("_"))): seconds for day, seconds in lost.items()}
    return sentence(ObjectiveState("mine", found, days))


def test_sentence_says_what_is_left_what_spent_it_and_when_it_is_gone() -> None:
    assert said(budget()) == "All of the budget of 43 min in 30 days is left."
    assert said(budget(0.0005, _1h=0.01), _3=900.0, _17=396.0) == (
        "22 min of the budget of 43 min in 30 days are left (50%); "
        "it was lost on 3 Nov (15 min) and 17 Nov (6 min 36 s). At the pace of the last hour it is gone in 1 d 12 h."
    )
    assert said(budget(0.002), **{f"_{day}": 60.0 * day for day in range(1, 7)}) == (
        "The budget of 43 min in 30 days is overspent by 43 min; it was lost on 4 Nov (4 min), 5 Nov (5 min), "
        "6 Nov (6 min) and 3 other days."
    )
    of_a_day = Budget(THREE_NINES, Spent(30 * DAYS, DAYS - 43.2, 43.2), {})
    assert said(of_a_day) == "42 min of the budget of 43 min in 30 days are left (98%); it is known for 1 d so far."
    assert said(Budget(Target(99.9, 1), Spent(DAYS, 0, 0), {})) == "Nothing is known of the last 1 day yet."


# Settings


def problems() -> list[str]:
    return [message.msg for message in run_checks() if "OBJECTIVES" in message.msg]


@pytest.mark.parametrize(
    ("objective", "said_of_it"),
    [
        ({"target": 99.9}, ""),
        ({"target": 99.9, "days": 28, "degraded_is_bad": True}, ""),
        (99.9, "an objective is a dict of 'target'"),
        ({}, "'target' is missing"),
        (
            {"target": 100},
            "must be a number of percent between 0 and 100, not 100 (100 would leave no budget to spend)",
        ),
        ({"target": "99.9"}, "must be a number of percent between 0 and 100"),
        ({"target": True}, "must be a number of percent between 0 and 100"),
        ({"target": 99.9, "days": 0}, "'days' must be a whole number from 1 to 365, not 0"),
        ({"target": 99.9, "days": 400}, "'days' must be a whole number from 1 to 365, not 400"),
        ({"target": 99.9, "degraded_is_bad": 1}, "'degraded_is_bad' must be True or False"),
        ({"target": 99.9, "day": 30}, "unknown key 'day': Did you mean 'days'?"),
    ],
)
def test_setting_that_is_wrong_is_named(settings: Any, objective: Any, said_of_it: str) -> None:
    settings.LIFESIGNS = {"BACKGROUND": True, "OBJECTIVES": {"default_cache": objective}}
    found = problems()
    assert (said_of_it in found[0] and len(found) == 1) if said_of_it else found == []


@pytest.mark.parametrize(("target", "is_meant"), [(0.999, False), (1, False), (49, False), (50, True), (99.9, True)])
def test_target_that_is_a_share_of_1_is_hardly_meant(settings: Any, target: float, is_meant: bool) -> None:
    settings.LIFESIGNS = {"BACKGROUND": True, "OBJECTIVES": {"default_cache": {"target": target}}}
    found = [message for message in run_checks() if "OBJECTIVES" in message.msg]
    assert [message.id for message in found] == ([] if is_meant else ["lifesigns.W018"])
    if not is_meant:
        assert f"['default_cache']: a target of {target}%" in found[0].msg
        get_runtime()
        assert current.targets()["default_cache"].target == target


@pytest.mark.parametrize(
    ("more", "said_of_it"),
    [
        ({"BACKGROUND": True}, ""),
        ({"ALERTS": {"FAILURES": 3}}, ""),
        ({}, "no check is run without a request"),
        ({"BACKGROUND": True, "RECORD": False}, "has no effect: with RECORD set to False"),
    ],
)
def test_objectives_of_which_nothing_will_be_known_are_warned_of(settings: Any, more: Any, said_of_it: str) -> None:
    settings.LIFESIGNS = {"OBJECTIVES": {"*": {"target": 99.9}}, **more}
    found = [message for message in run_checks() if "OBJECTIVES" in message.msg]
    assert [message.id for message in found] == (["lifesigns.W013"] if said_of_it else [])
    assert not found or said_of_it in found[0].msg


def test_setting_of_an_unknown_check_is_named_with_the_nearest(settings: Any) -> None:
    wrong = {"default_cash": {"target": 99}, "nothing_*": {"target": 99}}
    settings.LIFESIGNS = {"BACKGROUND": True, "OBJECTIVES": wrong}
    found = {message.id: message for message in run_checks() if "OBJECTIVES" in message.msg}
    assert found.keys() == {"lifesigns.E003", "lifesigns.W002"}
    assert found["lifesigns.E003"].hint == "Did you mean 'default_cache'?"


def test_targets_name_before_pattern_before_all(settings: Any) -> None:
    settings.LIFESIGNS = {
        "CHECKS": {"default_cache": {"name": "cache"}},
        "OBJECTIVES": {"*": {"target": 99}, "d*": {"target": 98}, "default_cache": {"target": 97}},
    }
    names = get_runtime().engine.names
    found = current.targets()
    assert found.keys() == set(names)
    assert (found["cache"].target, found["disk_space"].target, found["cpu_load"].target) == (97, 98, 99)
    settings.LIFESIGNS = {}
    get_runtime()
    assert current.targets() == {}


def test_check_that_may_be_skipped_has_no_objective_unless_it_is_named(settings: Any) -> None:
    """With `*`, a project without Celery is not told that nothing is known of its workers."""
    settings.LIFESIGNS = {"OBJECTIVES": {"*": {"target": 99}}}
    get_runtime()
    found = current.targets()
    assert found["task_workers"].may_be_skipped
    assert not found["cpu_load"].may_be_skipped
    settings.LIFESIGNS = {"OBJECTIVES": {"task_workers": {"target": 99}}}
    get_runtime()
    assert not current.targets()["task_workers"].may_be_skipped


@pytest.mark.django_db
def test_objective_of_a_check_that_may_be_skipped_is_shown_once_it_is_known() -> None:
    may_be_skipped = Target(99, may_be_skipped=True)
    targets = {"mine": Target(99), "other": may_be_skipped, "third": may_be_skipped}
    roll("third", time.time(), healthy=60.0)
    assert [state.check for state in read_states(targets)] == ["mine", "third"]


@pytest.mark.django_db
@pytest.mark.parametrize("bad", [0, 1, MOST_NAMES + 1])
def test_budget_read_for_a_page_is_the_one_with_burn_rates(bad: int) -> None:
    """A page reads the last hour of those alone that were bad lately, and of all where these are many."""
    now, targets = time.time(), {f"check_{number}": Target(90.0) for number in range(MOST_NAMES + 2)}
    for number, check in enumerate(targets):
        roll(check, now, healthy=3_000.0, error=30.0 if number < bad else 0.0)
    whole = {state.check: state.budget_as_dict() for state in read_states(targets, now)}
    assert {state.check: state.budget_as_dict() for state in read_states(targets, now, BUDGET_WINDOWS)} == whole
    assert sum(budget["exhausted_in_seconds"] is not None for budget in whole.values()) == bad


# From roll-ups to every place where they are shown


def roll(check: str, at: float, **figures: float) -> None:
    for period in (MINUTE, HOUR, DAY):
        row, _ = Rollup.objects.get_or_create(
            check_name=check, period=period.name, start=period.start(at), source="", defaults={"until": at}
        )
        for name, value in figures.items():
            setattr(row, name, getattr(row, name) + value)
        row.save()


@pytest.fixture
def burning(settings: Any) -> None:
    """An hour of a day, of which ten minutes are bad, up to now."""
    settings.LIFESIGNS = {
        "TOKENS": ["a-token-for-those-who-know"],
        "CHECKS": {"mine": lambda: True, "other": lambda: True},
        "OBJECTIVES": {"mine": {"target": 99.9, "days": 30}, "other": {"target": 99, "days": 28}},
    }
    now = MINUTE.start(time.time())
    for minute in range(60):
        is_bad = minute < 10
        figures = {"error": 60.0, "error_stretches": float(minute == 9)} if is_bad else {"healthy": 60.0}
        roll("mine", now - 60 * minute, **figures)
    get_runtime()


@pytest.mark.django_db
@pytest.mark.usefixtures("burning")
def test_alarm_says_how_urgent_it_is_and_why() -> None:
    found = for_engine(current.states())
    alarm = found["mine"]["alarm"]
    assert alarm
    assert alarm["severity"] == "critical"
    assert alarm["message"].startswith(
        "33 min of the budget of 43 min in 30 days are left (77%); it is known for 1 h so far; it was lost on "
    )
    assert found["other"]["alarm"] is None


@pytest.mark.parametrize(
    ("windows", "severity"),
    [
        ({"_1h": 0.1, "_5m": 0.1}, "critical"),
        ({"_1d": 0.01, "_2h": 0.01}, "warning"),
        ({"_1d": 0.01, "_2h": 0.01, "_6h": 0.01, "_30m": 0.01}, "critical"),
        ({"_1h": 0.1}, None),
    ],
)
def test_alarm_of_a_pair_is_as_urgent_as_the_pair(windows: dict[str, float], severity: str | None) -> None:
    found = for_engine([ObjectiveState("mine", budget(0.0005, THREE_NINES, **windows), {})])
    alarm = found["mine"]["alarm"]
    assert (alarm and alarm["severity"]) == severity


@pytest.mark.django_db
@pytest.mark.usefixtures("burning")
def test_command_shows_and_exports() -> None:
    def run(form: str) -> str:
        out = StringIO()
        call_command("health_objectives", "--format", form, stdout=out)
        return out.getvalue()

    text = run("text")
    assert re.search(r"^mine +99.9 +30 +83.333 +76.9 +166.7", text, re.MULTILINE)
    assert "mine: 33 min of the budget of 43 min in 30 days are left (77%)" in text
    assert "It is spent too fast in both 1h and 5m (page)." in text
    assert "other: Nothing is known of the last 28 days yet." in text
    [mine, other] = json.loads(run("json"))["objectives"]
    assert (mine["firing"], other["budget_remaining"]) == (["1h/5m"], None)
    assert "slo:sli_error:ratio_rate28d" in run("prometheus-rules")
    assert run("openslo").count('kind: "SLO"') == 2


@pytest.mark.parametrize(("form", "line"), [("prometheus-rules", 'sloth_service: "shop"'), ("openslo", '"shop-mine"')])
def test_exports_name_the_application_of_the_alerts(settings: Any, form: str, line: str) -> None:
    settings.ROOT_URLCONF = "config.urls"
    settings.LIFESIGNS = {
        "CHECKS": {"mine": lambda: True},
        "OBJECTIVES": {"mine": {"target": 99.9}},
        "ALERTS": {"APPLICATION": "shop"},
    }
    out = StringIO()
    call_command("health_objectives", "--format", form, stdout=out)
    assert line in out.getvalue()
    assert "config" not in out.getvalue()


@pytest.mark.parametrize("days", [1, 2, 3, 30])
def test_rules_of_prometheus_record_each_name_once(settings: Any, days: int) -> None:
    settings.LIFESIGNS = {"CHECKS": {"mine": lambda: True}, "OBJECTIVES": {"mine": {"target": 99.0, "days": days}}}
    out = StringIO()
    call_command("health_objectives", "--format", "prometheus-rules", stdout=out)
    recorded = re.findall(r'record: "?([^"\n]+)', out.getvalue())
    assert f"slo:sli_error:ratio_rate{days}d" in recorded
    assert len(recorded) == len(set(recorded))


@pytest.mark.django_db
def test_command_without_objectives_says_so(settings: Any) -> None:
    settings.LIFESIGNS = {}
    out = StringIO()
    call_command("health_objectives", stdout=out)
    assert "names no check" in out.getvalue()
    with pytest.raises(CommandError, match="names no check") as caught:
        call_command("health_objectives", "--format", "openslo")
    assert caught.value.returncode == 2


@pytest.mark.django_db
@pytest.mark.usefixtures("burning")
def test_detailed_has_objectives_worst_first(client: Any) -> None:
    body = client.get("/health/detailed/", headers={"authorization": "Bearer a-token-for-those-who-know"}).json()
    assert list(body["objectives"]) == ["mine", "other"]
    assert body["objectives"]["mine"]["severity"] == "page"
    assert "objectives" not in client.get("/health/detailed/").json()


@pytest.mark.django_db
@pytest.mark.usefixtures("burning")
def test_metrics_tell_what_was_published() -> None:
    engine = Engine(log=False)
    engine.register("mine", lambda: True)
    assert "health_objective_ratio" not in lifesigns.metrics(engine)
    current.publish(engine)
    text = lifesigns.metrics(engine)
    assert 'health_objective_ratio{check_name="mine"} 0.999' in text
    assert re.search(r'health_error_budget_remaining_ratio\{check_name="mine"\} 0\.7685', text)
    rates = dict(re.findall(r'health_burn_rate\{check_name="mine",window="(\w+)"\} ([\d.]+)', text))
    assert rates.keys() <= {"5m", "30m", "1h", "2h"}
    assert float(rates["5m"]) == pytest.approx(1_000)
    # Nothing is known of it: no budget and no rate, but the objective.
    assert 'health_objective_ratio{check_name="other"} 0.99' in text
    assert 'health_burn_rate{check_name="other"' not in text


def test_objectives_are_shown_by_all_that_share(tmp_path: Path) -> None:
    engines = [
        Engine(log=False, share="host", application="shared", store_path=tmp_path / "store"),
        Engine(log=False, share="host", application="shared", store_path=tmp_path / "store"),
        Engine(log=False),
    ]
    for engine in engines:
        engine.register("mine", lambda: True, identity="mine")
    engines[0].set_objectives({"mine": {"ratio": 0.99, "budget_remaining": 0.25, "burn_rates": {"1h": 2.0}}})
    prefixes = ("health_objective", "health_error_budget", "health_burn")
    shown = [
        [line for line in lifesigns.metrics(engine).splitlines() if line.startswith(prefixes)] for engine in engines
    ]
    expected = [
        'health_objective_ratio{check_name="mine"} 0.99',
        'health_error_budget_remaining_ratio{check_name="mine"} 0.25',
        'health_burn_rate{check_name="mine",window="1h"} 2.0',
    ]
    assert shown == [expected, expected, []]


def test_set_objectives_names_what_is_wrong() -> None:
    engine = Engine(log=False)
    wrong: Any = {"mine": {"ratio": "x", "budget_remaining": None, "burn_rates": {}}}
    with pytest.raises(ValueError, match="ratio must be a number"):
        engine.set_objectives(wrong)


def test_engine_gets_nothing_that_is_unknown() -> None:
    state = ObjectiveState("mine", Budget(THREE_NINES, Spent(1, 0, 0), {"5m": spent(300, 0.001)}), {})
    expected: Any = {"ratio": 0.999, "budget_remaining": None, "burn_rates": {"5m": pytest.approx(1.0)}, "alarm": None}
    assert for_engine([state]) == {"mine": expected}


def test_yaml_is_what_json_is() -> None:
    yaml = pytest.importorskip("yaml")
    value = {"a": [{"b": 1, "c": ["x: y", 'q"']}, {"d": {}}], "e": None, "f": {"g": 1.5}}
    assert yaml.safe_load(dump(value)) == value


def test_pair_is_found_by_its_windows() -> None:
    assert all(WINDOWS[pair.long] == 12 * WINDOWS[pair.short] for pair in PAIRS if isinstance(pair, Pair))
