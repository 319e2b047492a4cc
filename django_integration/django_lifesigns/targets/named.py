"""From `{"kind": "database", "alias": "legacy"}` in `LIFESIGNS["CHECKS"]` to the check of what only Django reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from django_lifesigns.checks.kinds import Check
from django_lifesigns.checks.migrations import MigrationsApplied
from django_lifesigns.checks.storage import StorageCheck
from django_lifesigns.settings.options import COMMON, DJANGO_KINDS
from django_lifesigns.settings.problems import did_you_mean
from django_lifesigns.targets import databases
from django_lifesigns.targets.aliases import ALIAS_KINDS, STORAGE
from django_lifesigns.targets.catalogue import Target
from django_lifesigns.targets.context import DiscoveryContext

# All migration modules of the project are read.
MIGRATIONS_TIMEOUT, MIGRATIONS_TTL = 30, 300
UNAPPLIED = ("error", "degraded")


def named_target(check: object, *, common: bool = False) -> Target | None:
    """Return the row of a check that names its kind, None where that is none of Django's.

    Args:
        check: a specification, or any other check.
        common: the options of how a check is run stand beside its own, and are proposed for an unknown one.

    Raises:
        ValueError: an option is wrong; the text continues "LIFESIGNS['CHECKS'][name]".
    """
    kind = check.get("kind") if isinstance(check, Mapping) else None
    if not isinstance(check, Mapping) or not isinstance(kind, str) or kind not in DJANGO_KINDS:
        return None
    options = {str(name): value for name, value in check.items() if name != "kind"}
    known = _fields_of(kind)
    for name in sorted(options.keys() - known):
        hint = did_you_mean(name, known | COMMON if common else known)
        raise ValueError(f"has an unknown option {name!r}. {hint}")
    return _of_alias(kind, options) if kind in ALIAS_KINDS else _of_migrations(options)


def _fields_of(kind: str) -> set[str]:
    """Return the options of a kind of Django's."""
    if kind in ALIAS_KINDS:
        return {"alias", "write"} if kind == STORAGE else {"alias"}
    return {"databases", "unapplied"}


def _of_alias(kind: str, options: Mapping[str, object]) -> Target:
    found = ALIAS_KINDS[kind]
    alias, write = options.get("alias", "default"), options.get("write", False)
    if not isinstance(write, bool):
        raise ValueError("has a 'write' that is neither True nor False.")
    # A request to a storage costs money: readiness, which asks critical checks every few seconds, rests on it only
    # where the project wants that.
    target = replace(
        found.target(_known("alias", alias, list(found.aliases()), found.setting)), critical=kind != STORAGE
    )

    def find(search: DiscoveryContext) -> Check:
        check = target.find(search)
        return replace(check, write=write) if isinstance(check, StorageCheck) else check

    return replace(target, find=find)


def _of_migrations(options: Mapping[str, object]) -> Target:
    unapplied, named = options.get("unapplied", "error"), options.get("databases", ())
    if unapplied not in UNAPPLIED:
        raise ValueError("has an 'unapplied' that is neither 'error' nor 'degraded'.")
    if not isinstance(named, (list, tuple)):
        raise ValueError("has 'databases' that are not a list of aliases.")
    known = databases.aliases()
    check = MigrationsApplied(
        databases=tuple(_known("databases", alias, known, "DATABASES") for alias in named), unapplied=str(unapplied)
    )
    return Target(find=lambda _: check, setting="DATABASES", timeout=MIGRATIONS_TIMEOUT, ttl=MIGRATIONS_TTL)


def _known(option: str, alias: object, known: list[str], setting: str) -> str:
    if not isinstance(alias, str):
        raise ValueError(f"has {option!r} that is not the name of an alias.")
    if alias not in known:
        raise ValueError(f"names {alias!r}, which {setting} does not have. {did_you_mean(alias, known)}")
    return alias
