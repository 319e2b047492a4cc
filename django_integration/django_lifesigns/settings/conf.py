"""The `LIFESIGNS` settings, typed: what is left out or wrong has its default, and what is wrong is a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from django.conf import settings

from django_lifesigns.settings import values
from django_lifesigns.settings.addresses import addresses
from django_lifesigns.settings.fleet import fleet
from django_lifesigns.settings.problems import UNKNOWN_KEY, WRONG_VALUE, Problem, did_you_mean, nearest_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Conf:
    """One attribute for each key, in lower case. Times are in seconds."""

    checks: Mapping[str, object] = field(repr=False)
    disabled: frozenset[str] = frozenset()
    required: frozenset[str] | Literal["all"] = frozenset()
    aliases: Literal["all", "default"] = "all"
    groups: Mapping[str, object] = field(default_factory=dict)
    default_timeout: float = 5.0
    default_ttl: float = 30.0
    ready_budget: float = 0.8
    ready_max_age: float = 5.0
    max_stale: float = 60.0
    show_details: Literal["authorized", "always", "never"] = "authorized"
    tokens: tuple[str, ...] = field(default=(), repr=False)
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    trusted_proxies: tuple[values.Proxy, ...] = ()
    share: Literal["process", "host", "fleet"] = "host"
    store_path: str | None = None
    # By its keys in lower case: those of `Engine(fleet=...)`.
    fleet: Mapping[str, object] = field(default_factory=dict, repr=False)
    background: bool = False
    record: bool = True
    log_every: float | None = None
    objectives: Mapping[str, object] = field(default_factory=dict)
    probe_server: tuple[str, ...] = ()
    wedged_after: float = 30.0
    alive_requires: Literal["any", "all"] = "any"
    dump_on_wedge: bool = False
    celery_signals: bool = False
    task_queue: str | Mapping[str, object] | None = field(default=None, repr=False)
    postgresql_functions: tuple[str, ...] | None = None
    materialized_views: tuple[str, ...] = ()
    expected_workers: int = 1
    google_maps_base_url: str | None = None
    alerts: Mapping[object, object] = field(default_factory=dict, repr=False)
    actions: Mapping[str, object] = field(default_factory=dict, repr=False)
    public_page: bool = False
    problems: tuple[Problem, ...] = ()

    @property
    def runs_in_background(self) -> bool:
        """Whether checks are run without a request, as probes, alerts and actions need it."""
        return bool(self.background or self.probe_server or self.alerts or self.actions)

    def requires(self, check: str) -> bool:
        """Return whether `REQUIRED` names this check, or all of the 22, of which it is one."""
        return self.required == "all" or check in self.required

    def names_required(self, check: str) -> bool:
        """Return whether `REQUIRED` names this check itself."""
        return self.required != "all" and check in self.required


def read() -> Conf:
    """The settings as they are now."""
    given = getattr(settings, "LIFESIGNS", None)
    return parse({} if given is None else given)


def parse(raw: object) -> Conf:
    """The typed form of a `LIFESIGNS` dict."""
    if not isinstance(raw, Mapping):
        wrong = values.WrongValueError("must be a dict").problem("LIFESIGNS", raw, loses_checks=True)
        return Conf(checks={}, problems=(wrong,))
    problems: list[Problem] = []
    given: dict[str, object] = {"checks": {}}
    for key, value in raw.items():
        if key in READERS:
            try:
                if key in NAMED and isinstance(value, Mapping):
                    given[key.lower()] = _by_text(key, value, problems)
                elif value is not None:
                    given[key.lower()] = READERS[key](value)
            except values.WrongValueError as error:
                problems.append(error.problem(f"LIFESIGNS[{key!r}]", value, loses_checks=key == "CHECKS"))
        else:
            hint = did_you_mean(str(key), READERS.keys())
            is_lost = nearest_of(str(key), READERS) == nearest_of("CHECKS", READERS)
            problems.append(Problem(UNKNOWN_KEY, f"LIFESIGNS has an unknown key {key!r}.", hint, loses_checks=is_lost))
    return replace(Conf(**given), problems=tuple(problems))  # type: ignore[arg-type]


def _by_text(setting: str, entries: Mapping[object, object], problems: list[Problem]) -> dict[str, object]:
    """Return entries by their names, also those whose name is no string."""
    named: dict[str, object] = {}
    for key, entry in entries.items():
        if not isinstance(key, str):
            shown = str(key) if isinstance(key, (int, float)) else f"of type {type(key).__name__}"
            message = f"LIFESIGNS[{setting!r}] has the key {shown}, which is not a string."
            problems.append(Problem(WRONG_VALUE, message, "Write it in quotes."))
        named.setdefault(str(key), entry)
    return {**named, **{key: entry for key, entry in entries.items() if isinstance(key, str)}}


# Dicts with names as keys.
NAMED = frozenset(["ACTIONS", "CHECKS", "GROUPS", "OBJECTIVES"])
READERS: dict[str, Callable[[object], object]] = {
    "CHECKS": values.by_name("checks"),
    "DISABLED": values.names,
    "REQUIRED": values.names_or_all,
    "ALIASES": values.one_of("all", "default"),
    "GROUPS": values.by_name("groups"),
    "DEFAULT_TIMEOUT": values.seconds,
    "DEFAULT_TTL": values.seconds,
    "READY_BUDGET": values.seconds,
    "READY_MAX_AGE": values.seconds,
    "MAX_STALE": values.seconds,
    "SHOW_DETAILS": values.one_of("authorized", "always", "never"),
    "TOKENS": values.tokens,
    "NETWORKS": values.networks,
    "TRUSTED_PROXIES": values.proxies,
    "SHARE": values.one_of("host", "process", "fleet"),
    "STORE_PATH": values.directory,
    "FLEET": fleet,
    "BACKGROUND": values.flag,
    "RECORD": values.flag,
    "LOG_EVERY": values.seconds,
    "OBJECTIVES": values.by_name("objectives"),
    "PROBE_SERVER": addresses,
    "WEDGED_AFTER": values.seconds,
    "ALIVE_REQUIRES": values.one_of("any", "all"),
    "DUMP_ON_WEDGE": values.flag,
    "CELERY_SIGNALS": values.flag,
    "TASK_QUEUE": values.task_queue,
    "POSTGRESQL_FUNCTIONS": values.strings,
    "MATERIALIZED_VIEWS": values.strings,
    "EXPECTED_WORKERS": values.count,
    "GOOGLE_MAPS_BASE_URL": values.url,
    "ALERTS": values.options,
    "ACTIONS": values.by_name("actions"),
    "PUBLIC_PAGE": values.flag,
}
