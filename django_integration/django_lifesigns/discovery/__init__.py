"""From Django's settings to the checks: what is checked, how it is run, and what is wrong with the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from django_lifesigns.callables.verdict import Verdict
from django_lifesigns.catalogue import CATALOGUE, Defaults
from django_lifesigns.conf import Conf
from django_lifesigns.discovery import apis, caches, databases, mail, messaging, system, tasks
from django_lifesigns.discovery.search import NoTargetError, Search, WrongTargetError
from django_lifesigns.options import Check
from django_lifesigns.options import parse as parse_options
from django_lifesigns.problems import OTHERS_RUN, UNKNOWN_CHECK, WRONG_OPTION, WRONG_TARGET, Problem, did_you_mean
from lifesigns import checks as declared
from lifesigns import specs

FINDERS: dict[str, Callable[[Search], Check]] = {
    "database_connectivity": databases.connectivity,
    "postgis_extension": databases.postgis,
    "postgresql_functions": databases.functions,
    "redis_connectivity": caches.redis,
    "default_cache": caches.default_cache,
    "task_queue": tasks.task_queue,
    "disk_space": system.disk_space,
    "directory_permissions": system.directory_permissions,
    "database_performance": databases.statements,
    "connection_pool": databases.pool,
    "select2_cache": caches.select2_cache,
    "memory_usage": system.memory_usage,
    "cpu_load": system.cpu_load,
    "channel_layer": messaging.channel_layer,
    "mqtt_broker": messaging.mqtt_broker,
    "aws_ses": mail.aws_ses,
    "google_maps_api": apis.google_maps,
    "openai_api": apis.openai,
    "anthropic_api": apis.anthropic,
    "pending_tasks": tasks.pending_tasks,
    "failed_tasks": tasks.failed_tasks,
    "task_workers": tasks.task_workers,
}

# Those of one's own are critical unless configured otherwise, as with `Engine.register`.
OWN = Defaults(critical=True, setting="LIFESIGNS['CHECKS']")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A check as it is to be registered; `options` are keywords of `Engine.register`. The settings know it as `key`."""

    key: str
    name: str
    check: Check = field(repr=False)
    options: dict[str, object]


def discover(conf: Conf) -> tuple[list[Found], list[Problem]]:
    """All checks that are not disabled, in the order of the report, and what is wrong. Connects to nothing."""
    keys = dict.fromkeys([*CATALOGUE, *declared.DECLARED, *conf.checks])
    problems: list[Problem] = []
    found = [_find(key, conf, problems) for key in keys if key not in conf.disabled]
    checks = _renamed([check for check in found if check is not None], problems)
    return [_after_database(check, checks) for check in checks], problems


def _find(name: str, conf: Conf, problems: list[Problem]) -> Found | None:
    defaults, own = CATALOGUE.get(name, OWN), declared.DECLARED.get(name)
    run: dict[str, object] = {"critical": defaults.critical, "timeout": defaults.timeout, "breaker": defaults.breaker}
    run |= own.options if own else {}
    shown = name
    search = Search(name=name, conf=conf, required=name in conf.required, problems=problems)
    try:
        options = parse_options(conf.checks.get(name, {}))
        run |= options.run
        shown = options.name or name
        if options.check is None and own is None and name not in FINDERS:
            message = f"LIFESIGNS['CHECKS'] has options for an unknown check {name!r}."
            problems.append(Problem(UNKNOWN_CHECK, message, did_you_mean(name, CATALOGUE)))
            return None
        if not options.enabled:
            return None
        check = options.apply(options.check or (own.check if own else FINDERS[name](search)))
    except NoTargetError as missing:
        check = _missing(str(missing), required=search.required, critical=run["critical"] is True)
    except WrongTargetError as error:
        problems.append(Problem(WRONG_TARGET, str(error), OTHERS_RUN))
        check = Verdict("error", str(error))
    except ValueError as error:
        message = f"LIFESIGNS['CHECKS'][{name!r}] {error}"
        problems.append(Problem(WRONG_OPTION, message, OTHERS_RUN))
        check = Verdict("error", message)
    return Found(key=name, name=shown, check=check, options=run)


def _missing(reason: str, *, required: bool, critical: bool) -> Check:
    if not required:
        return specs.Skipped(reason=reason)
    return Verdict("error" if critical else "degraded", f"{reason} (LIFESIGNS['REQUIRED'] names this check)")


def _renamed(checks: list[Found], problems: list[Problem]) -> list[Found]:
    """The checks, which name those they depend on as they are shown, and no two the same."""
    taken = {check.key: check for check in checks if check.name == check.key}
    unique = []
    for check in checks:
        if taken.setdefault(check.name, check) is not check:
            message = f"LIFESIGNS['CHECKS'][{check.key!r}] has the 'name' of another check, {check.name!r}."
            problems.append(Problem(WRONG_OPTION, message, "Choose another; until then it is not renamed."))
            check = replace(check, name=check.key)
        unique.append(check)
    names = {check.key: check.name for check in unique}
    return [replace(check, options=_parents_renamed(check.options, names)) for check in unique]


def _parents_renamed(options: dict[str, object], names: Mapping[str, str]) -> dict[str, object]:
    parents = cast("Sequence[str]", options.get("depends_on", ()))
    return {**options, "depends_on": [names.get(parent, parent) for parent in parents]} if parents else options


def _after_database(check: Found, all_checks: list[Found]) -> Found:
    """The check, which waits for `database_connectivity` where it asks the same server."""
    server = getattr(check.check, "server", None)
    first = next((other for other in all_checks if other.key == "database_connectivity"), check)
    if server is None or first is check or "depends_on" in check.options:
        return check
    if server != getattr(first.check, "server", None):
        return check
    return replace(check, options={**check.options, "depends_on": (first.name,)})
