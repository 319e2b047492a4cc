"""What `manage.py check` says about the settings. Connects to nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from importlib.util import find_spec

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.core.management import get_commands

from django_lifesigns.checks.dotted import Dotted
from django_lifesigns.runtime import health_modules
from django_lifesigns.runtime.engine import Runtime, build
from django_lifesigns.settings import security_checks as exposure
from django_lifesigns.settings.conf import read
from django_lifesigns.settings.placement import MIDDLEWARE, is_answered_first, is_loaded
from django_lifesigns.settings.problems import (
    NOT_BEGUN,
    NOT_FIRST,
    OF_TENANTS,
    OTHERS_RUN,
    REPLACED,
    SHADOWED,
    WITHOUT_URL,
    WRONG_OPTION,
    Problem,
)
from django_lifesigns.targets import mail
from django_lifesigns.targets.catalogue import CATALOGUE
from django_lifesigns.targets.discovery import discover
from lifesigns.answers import raised
from lifesigns.arguments import unwrapped

PAGES = frozenset(["detailed", "dashboard"])
PUBLIC_PAGE = "status"
FLEET = "fleet"
# As INSTALLED_APPS may name the app.
OWN_NAMES = frozenset(["django_lifesigns", "django_lifesigns.apps.LifesignsConfig"])
# The replaced application, or django-health-check, has commands of these names.
COMMANDS = ("generate_health_report", "health_check", "monitor_health_continuous")


def messages(more: Iterable[Problem] = ()) -> list[CheckMessage]:
    """Every problem of `LIFESIGNS` and of the settings that name the targets, and `more`, as warnings."""
    return [_message(problem) for problem in (*_problems(build(read())), *more)]


def _problems(built: Runtime) -> Iterator[Problem]:
    yield from built.problems
    yield from health_modules.problems
    yield from _replaced(built)
    yield from _not_importable()
    yield from exposure.problems(built.conf)
    if MIDDLEWARE in settings.MIDDLEWARE and not is_answered_first():
        message = f"{MIDDLEWARE} is not the first of MIDDLEWARE: what stands before it may refuse or delay probes."
        hint = "Move it to the top. Where something else has to be there: see django_lifesigns.probes()."
        yield Problem(NOT_FIRST, message, hint)
    if built.conf.runs_in_background and not is_loaded():
        keys = ("PROBE_SERVER", "BACKGROUND", "ALERTS", "ACTIONS")
        key = next(key for key in keys if getattr(built.conf, key.lower()))
        message = f"LIFESIGNS[{key!r}] has no effect: {MIDDLEWARE}, with which workers begin it, is not in MIDDLEWARE."
        yield Problem(NOT_BEGUN, message, "Put it at the top of MIDDLEWARE.")
    if built.conf.celery_signals and not find_spec("celery"):
        message = "LIFESIGNS['CELERY_SIGNALS'] has no effect: Celery is not installed."
        yield Problem(NOT_BEGUN, message, "Remove it, or install Celery.")
    if mail.are_mailers_ignored():
        message = "MAILERS has no effect: this version of Django does not read it, and no check looks at its servers."
        yield Problem(NOT_BEGUN, message, "Set EMAIL_HOST and the other EMAIL_* settings, or use Django 6.1.")
    if _is_of_tenants_only():
        message = "django_lifesigns is in TENANT_APPS alone: history and thresholds have no table in the shared schema."
        yield Problem(OF_TENANTS, message, "Put it in SHARED_APPS.")
    for name in COMMANDS:
        owner = get_commands().get(name)
        if owner != "django_lifesigns":
            message = f"manage.py {name} is that of {owner}, which stands before django_lifesigns in INSTALLED_APPS."
            yield Problem(SHADOWED, message, f"Delete {name}.py there, or put django_lifesigns before it.")
    if built.conf.public_page and not built.conf.runs_in_background:
        message = "LIFESIGNS['PUBLIC_PAGE'] shows what is known, and no check is run for it or without a request."
        yield Problem(NOT_BEGUN, message, "Set LIFESIGNS['BACKGROUND'] to True.")
    if built.conf.objectives and not built.conf.record:
        message = "LIFESIGNS['OBJECTIVES'] has no effect: with RECORD set to False nothing is known of the past."
        yield Problem(NOT_BEGUN, message, "Set LIFESIGNS['RECORD'] to True.")
    elif built.conf.objectives and not built.conf.runs_in_background:
        message = "LIFESIGNS['OBJECTIVES'] knows what ran, and no check is run without a request: little is known."
        yield Problem(NOT_BEGUN, message, "Set LIFESIGNS['BACKGROUND'] to True.")
    pages = PAGES | ({PUBLIC_PAGE} if built.conf.public_page else set()) | ({FLEET} if built.has_fleet else set())
    for name in sorted(pages & set(built.names.values())):
        message = f"The check {name!r} has no URL of its own, since /health/{name}/ is another page."
        yield Problem(WITHOUT_URL, message, f"Rename it: LIFESIGNS['CHECKS'][{name!r}]['name'].")


def _replaced(built: Runtime) -> Iterator[Problem]:
    """Checks of the apps with the name of one of ours: by mistake, unless the settings have an entry of that name."""
    for name, module in health_modules.declared_in.items():
        if name in CATALOGUE and name not in built.conf.checks:
            message = f"The check {name!r} that {module} declares takes the place of the built-in one."
            hint = f"Rename it or, if that is meant, have an entry for it: LIFESIGNS['CHECKS'][{name!r}] = {{}}."
            yield Problem(REPLACED, message, hint)


def _is_of_tenants_only() -> bool:
    """Return whether django-tenants makes the tables in the schemas of the tenants, whom no check knows."""
    shared, of_tenants = (
        OWN_NAMES.intersection(getattr(settings, key, None) or ()) for key in ("SHARED_APPS", "TENANT_APPS")
    )
    return bool(of_tenants and not shared)


def _not_importable() -> list[Problem]:
    """Dotted paths that lead nowhere, or to what is no check, or whose module raises anything when it is imported."""
    problems = []
    for found in discover(read())[0]:
        check = unwrapped(found.check)
        if isinstance(check, Dotted):
            names = f"LIFESIGNS['CHECKS'][{found.key!r}] names {check.path!r}, which"
            arguments = found.check.keywords if isinstance(found.check, partial) else {}
            try:
                wrong = check.wrong(arguments)
            except ImportError as error:
                problems.append(Problem(WRONG_OPTION, f"{names} cannot be imported.", str(error)))
            except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a module does, `migrate` runs
                error_type, place = raised(error)
                at = f" at {place}" if place else ""
                problems.append(Problem(WRONG_OPTION, f"{names} cannot be imported ({error_type}{at}).", OTHERS_RUN))
            else:
                if wrong:
                    problems.append(Problem(WRONG_OPTION, f"{names} {wrong}.", OTHERS_RUN))
    return problems


def _message(problem: Problem) -> CheckMessage:
    return Warning(problem.message, hint=problem.hint, id=f"lifesigns.{problem.id}")
