"""One entry of `LIFESIGNS["CHECKS"]`: how a check is run, what of it is changed, or a check of one's own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from django_lifesigns.checks.dotted import Dotted
from django_lifesigns.checks.kinds import Check, is_record
from django_lifesigns.settings.problems import did_you_mean
from lifesigns import specs
from lifesigns.specs import Spec, Thresholds

# The keywords of `Engine.register`; the engine says what is wrong with their values.
RUN_OPTIONS = frozenset(
    [
        "critical",
        "scope",
        "timeout",
        "ttl",
        "breaker",
        "depends_on",
        "failures_before_error",
        "successes_before_healthy",
        "runbook",
        "alert",
    ]
)
OTHER_OPTIONS = frozenset(["enabled", "name", "check", "arguments"])
# Those that stand beside the fields of a check that names its kind.
COMMON = RUN_OPTIONS | {"enabled", "name"}
# What only Django reaches, by the 'kind' of a check.
DJANGO_KINDS = frozenset(["cache", "channel_layer", "database", "mail", "migrations", "storage"])
# What names a target comes from Django's own settings and is not an option.
TARGET_FIELDS = frozenset(
    [
        "server",
        "alternatives",
        "layout",
        "prefix",
        "servers",
        "fallbacks",
        "finished",
        "task_queue",
        "vhost",
        "url",
        "host",
        "port",
        "username",
        "password",
        "api_key",
        "base_url",
        "database",
        "alias",
        "backend",
        "tables",
        "sql",
        "required",
    ]
)

# Of whole numbers; in minutes it is ten years.
LARGEST = 5_256_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """`run` goes to `Engine.register`, `fields` into the check's specification; `check` replaces it, and is called with
    `arguments`. It is shown as `name`."""

    enabled: bool = True
    name: str | None = None
    check: Check | None = field(default=None, repr=False)
    arguments: Mapping[str, object] = field(default_factory=dict, repr=False)
    run: Mapping[str, object] = field(default_factory=dict)
    fields: Mapping[str, object] = field(default_factory=dict, repr=False)

    def apply(self, check: Check) -> Check:
        """The check with the configured fields and arguments; ValueError naming the option that it does not have."""
        check = self._with_fields(check) if self.fields else check
        if not self.arguments:
            return check
        if isinstance(check, (Spec, Mapping)):
            raise ValueError("has 'arguments', which only a callable takes.")
        return partial(check, **self.arguments)

    def _with_fields(self, check: Check) -> Check:
        record: Any = check
        own = {item.name for item in dataclasses.fields(record)} if is_record(check) else set()
        for name in self.fields.keys() - (own - TARGET_FIELDS):
            hint = did_you_mean(name, RUN_OPTIONS | OTHER_OPTIONS | (own - TARGET_FIELDS))
            raise ValueError(f"has an unknown option {name!r}. {hint}")
        fields = dict(self.fields)
        if not isinstance(check, Spec):
            fields = {name: _like(name, value, getattr(record, name)) for name, value in fields.items()}
        return cast("Check", dataclasses.replace(record, **fields))


def critical_of(entry: object) -> bool | None:
    """Return whether an entry wants its check critical, whatever else is wrong with it; None where it does not say."""
    critical = entry.get("critical") if isinstance(entry, Mapping) else None
    return critical if isinstance(critical, bool) else None


def parse(entry: object) -> Options:
    """The options of an entry; ValueError whose text continues "LIFESIGNS['CHECKS'][name]"."""
    if not isinstance(entry, Mapping):
        return Options(check=_check(entry))
    rest = {str(name): value for name, value in entry.items()}
    if "kind" in rest:
        rest = _separated(rest)
    enabled, name = rest.pop("enabled", True), rest.pop("name", None)
    check, arguments = rest.pop("check", None), rest.pop("arguments", {})
    if not isinstance(enabled, bool):
        raise ValueError("has an 'enabled' that is neither True nor False.")
    if not isinstance(name, (str, type(None))):
        raise ValueError("has a 'name' that is not a string.")
    if not isinstance(arguments, Mapping) or not all(isinstance(key, str) for key in arguments):
        raise ValueError("has 'arguments' that are not a dict of keyword arguments.")
    parents = rest.get("depends_on", ())
    if not isinstance(parents, (list, tuple)) or not all(isinstance(name, str) for name in parents):
        raise ValueError("has a 'depends_on' that is not a list of names.")
    if "thresholds" in rest:
        rest["thresholds"] = _thresholds(rest["thresholds"])
    return Options(
        enabled=enabled,
        name=name,
        check=None if check is None else _check(check),
        arguments=arguments,
        run={name: rest.pop(name) for name in RUN_OPTIONS & rest.keys()},
        fields=rest,
    )


def _separated(entry: dict[str, object]) -> dict[str, object]:
    """Return the entry with what it says of the check itself, not of how it is run, under `check`."""
    options = RUN_OPTIONS | OTHER_OPTIONS - {"check"}
    if not _is_of_django(entry["kind"]):
        # A field of the specification comes before an option of the same name, as the `name` that a DNS check looks up.
        own = _fields_of(entry["kind"]) | {"kind"}
        options = COMMON - own
        for name in entry.keys() - own - options:
            raise ValueError(f"has an unknown option {name!r}. {did_you_mean(name, (own | options) - {'kind'})}")
    run = {name: value for name, value in entry.items() if name in options}
    return {**run, "check": {name: value for name, value in entry.items() if name not in run}}


def _is_of_django(kind: object) -> bool:
    return isinstance(kind, str) and kind in DJANGO_KINDS


def _fields_of(kind: object) -> set[str]:
    """Return the fields of a native kind."""
    kinds = {spec.kind: spec for spec in (getattr(specs, name) for name in specs.__all__) if hasattr(spec, "kind")}
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(f"has an unknown 'kind' {kind!r}. {did_you_mean(str(kind), DJANGO_KINDS | kinds.keys())}")
    return {item.name for item in dataclasses.fields(kinds[kind])}


def _check(value: object) -> Check:
    if isinstance(value, str):
        return Dotted(value)
    if isinstance(value, (Spec, Mapping)) or callable(value):
        return cast("Check", value)
    raise ValueError("must be a dict of options, a callable, the dotted path of one, or a specification.")


def _thresholds(value: object) -> Thresholds:
    names = ("degraded_above", "error_above")
    if isinstance(value, Thresholds):
        value = {name: getattr(value, name) for name in names}
    if isinstance(value, Mapping) and value.keys() == set(names):
        degraded, error = (value[name] for name in names)
        if _is_number(degraded) and _is_number(error):
            if not 0 <= degraded <= error:
                raise ValueError("has thresholds whose degraded_above is not from 0 to error_above.")
            return Thresholds(degraded_above=degraded, error_above=error)
    raise ValueError("has thresholds that are not a dict of the numbers degraded_above and error_above.")


def _like(name: str, value: object, present: object) -> object:
    """Return the value of a field of a check in Python, of the kind that it has now."""
    if isinstance(present, bool):
        right, kind = isinstance(value, bool), "True or False"
    elif isinstance(present, int):
        least = 0 if name == "expected_workers" else 1
        right = isinstance(value, int) and _is_number(value) and least <= value <= LARGEST
        kind = f"a whole number from {least} to {LARGEST}"
    elif isinstance(present, float):
        right, kind = _is_number(value) and cast("float", value) >= 0, "a number from 0"
    elif isinstance(present, tuple):
        right = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
        kind = "a list of strings"
    else:
        return value
    if not right:
        raise ValueError(f"has a {name!r} that is not {kind}.")
    return tuple(cast("Sequence[str]", value)) if isinstance(present, tuple) else value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
