"""From Django's settings to the checks: what is checked, how it is run, and what is wrong with the settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from django_lifesigns.checks.fixed_result import FixedResult
from django_lifesigns.checks.kinds import Check
from django_lifesigns.settings.conf import Conf
from django_lifesigns.settings.options import critical_of
from django_lifesigns.settings.options import parse as parse_options
from django_lifesigns.settings.problems import (
    OTHERS_RUN,
    UNKNOWN_CHECK,
    WRONG_OPTION,
    WRONG_TARGET,
    WRONG_VALUE,
    Problem,
    did_you_mean,
    import_failure,
    nearest_of,
)
from django_lifesigns.targets.aliases import further_targets
from django_lifesigns.targets.catalogue import CATALOGUE, Target
from django_lifesigns.targets.context import (
    CannotCheckError,
    DiscoveryContext,
    NoTargetError,
    WrongSettingError,
    WrongTargetError,
)
from django_lifesigns.targets.costs import is_costly, run_by_cost
from django_lifesigns.targets.discovered import DiscoveredCheck, parents_of
from django_lifesigns.targets.named import named_target
from django_lifesigns.targets.naming import linked_by_name, rightly_named, uniquely_named
from lifesigns import checks as registry
from lifesigns import specs
from lifesigns.specs import Spec


def discover(conf: Conf) -> tuple[list[DiscoveredCheck], list[Problem]]:
    """Return all enabled checks in the order of the report, and what is wrong. Connects to nothing."""
    further, problems = further_targets()
    targets = {**CATALOGUE, **{key: target for key, target in further.items() if not _is_own(key, conf)}}
    problems += _unknown_checks(conf, {*targets, *conf.checks, *registry.DECLARED, *registry.REFUSED})
    # With ALIASES = "default" they are known, so that options of one are no mistake, and not run.
    left_out = targets.keys() - CATALOGUE.keys() if conf.aliases == "default" else set()
    keys = dict.fromkeys([*targets, *registry.DECLARED, *registry.REFUSED, *conf.checks])
    found = [_find(key, conf, targets, problems) for key in keys if key not in conf.disabled | left_out]
    named = rightly_named([check for check in found if check is not None], problems)
    linked = linked_by_name(uniquely_named(named, problems))
    return [_with_ready_max_age(check, linked, conf) for check in linked], problems


def known_checks(conf: Conf) -> set[str]:
    """Return all names that the settings may use of checks, also of those that are not run here."""
    return {*CATALOGUE, *further_targets()[0], *conf.checks, *registry.DECLARED, *registry.REFUSED}


def _unknown_checks(conf: Conf, known: set[str]) -> Iterator[Problem]:
    required = frozenset() if conf.required == "all" else conf.required
    for key, names in (("DISABLED", conf.disabled), ("REQUIRED", required)):
        for name in sorted(names - known):
            message = f"LIFESIGNS[{key!r}] names an unknown check {name!r}."
            yield Problem(UNKNOWN_CHECK, message, did_you_mean(name, known))


def _is_own(key: str, conf: Conf) -> bool:
    """Return whether a check of the project's own has the name of that of an alias, and so its place."""
    declared, entry = registry.DECLARED.get(key), conf.checks.get(key, {})
    is_declared = bool(declared and declared.check) or key in registry.REFUSED
    return is_declared or not isinstance(entry, Mapping) or "check" in entry or "kind" in entry


def _find(key: str, conf: Conf, targets: Mapping[str, Target], problems: list[Problem]) -> DiscoveredCheck | None:
    target, declared = targets.get(key), registry.DECLARED.get(key)
    refused = None if declared else registry.REFUSED.get(key)
    critical_by_default = target is None or target.critical
    run: dict[str, object] = {"critical": critical_by_default}
    run |= target.run() if target else {}
    run |= declared.options if declared else {"critical": refused.critical} if refused else {}
    shown, setting = key, target.setting if target else "LIFESIGNS['CHECKS']"
    entry = conf.checks.get(key, {})
    critical = critical_of(entry)
    run |= {} if critical is None else {"critical": critical}
    try:
        options = parse_options(entry)
        own = options.check or (declared and declared.check)
        named = named_target(own, common=isinstance(entry, Mapping) and "kind" in entry)
        if named:
            run |= named.run()
            critical_by_default = named.critical
            run["critical"] = named.critical if critical is None else critical
        run |= {name: value for name, value in run_by_cost(own).items() if run.get(name) is None}
        if target is None and not declared and is_costly(own):
            critical_by_default = False
            run["critical"] = bool(critical)
        run |= options.run
        shown = options.name or key
        if not (own or declared or refused or target):
            if options.fields and not nearest_of(key, targets):
                raise ValueError("needs a 'kind' or a 'check', as each check of your own does.")
            message = f"LIFESIGNS['CHECKS'] has options for an unknown check {key!r}."
            problems.append(Problem(UNKNOWN_CHECK, message, did_you_mean(key, targets)))
            return None
        if not options.enabled:
            return None
        if refused and not own:
            own = FixedResult("error", f"Declared in a wrong way: {refused.reason}")
        if (default := named or (target if own is None else None)) is not None:
            required = conf.requires(key) if key in CATALOGUE else conf.names_required(key)
            search = DiscoveryContext(name=key, conf=conf, required=required, problems=problems)
            own = _check_of(default, search, critical=run["critical"] is True)
            run |= {**search.options, **options.run}
        check = options.apply(cast("Check", own))
    except WrongTargetError as error:
        # Of several checks with one target, all find the same.
        identifier = WRONG_VALUE if isinstance(error, WrongSettingError) else WRONG_TARGET
        found = (Problem(identifier, message, OTHERS_RUN) for message in error.messages)
        problems.extend(problem for problem in found if problem not in problems)
        check = FixedResult("error", str(error))
    except ValueError as error:
        message = f"LIFESIGNS['CHECKS'][{key!r}] {error}"
        problems.append(Problem(WRONG_OPTION, message, OTHERS_RUN))
        check = FixedResult("error", message)
    return DiscoveredCheck(
        key=key, name=shown, check=check, options=run, setting=setting, critical_by_default=critical_by_default
    )


def _check_of(target: Target, search: DiscoveryContext, *, critical: bool) -> Check:
    """Return the check of what Django's settings name; `WrongTargetError` where they cannot be read."""
    try:
        return target.find(search)
    except CannotCheckError as reason:
        return specs.Skipped(reason=str(reason))
    except NoTargetError as missing:
        if not search.required:
            return specs.Skipped(reason=str(missing))
        return FixedResult("error" if critical else "degraded", f"{missing} (LIFESIGNS['REQUIRED'] names this check)")
    except WrongTargetError:
        raise
    except Exception as error:  # a setting may be anything, also what is foreseen nowhere
        raise WrongTargetError(f"{target.setting} cannot be read ({import_failure(error)})") from error


def _with_ready_max_age(check: DiscoveredCheck, checks: Sequence[DiscoveredCheck], conf: Conf) -> DiscoveredCheck:
    """Return the check, on whose result readiness may rest as long as it is fresh where another is run more often.

    That is a Python check whose server a critical native one vouches for, and one that writes to disks.
    """
    parents = parents_of(check)
    vouched = any(
        isinstance(other.check, Spec) and other.options["critical"] is True for other in checks if other.name in parents
    )
    if isinstance(check.check, specs.Directories) or (vouched and not isinstance(check.check, Spec)):
        ttl = check.options.get("ttl") or conf.default_ttl
        return replace(check, options={**check.options, "ready_max_age": ttl})
    return check
