"""A check for each further alias of `DATABASES`, `CACHES`, `CHANNEL_LAYERS`, `MAILERS` and `STORAGES`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from django_lifesigns.checks.imports import cache_modules, channel_modules, storage_modules
from django_lifesigns.checks.kinds import Check
from django_lifesigns.settings.problems import TARGET_IN_PART, Problem
from django_lifesigns.targets import caches, databases, mail, messaging, storages
from django_lifesigns.targets.catalogue import CATALOGUE, PAID_API, Target
from django_lifesigns.targets.context import DiscoveryContext
from lifesigns import specs

# What a name of a check cannot have, since it stands in URLs and metrics; and how long it may be.
ODD = re.compile(r"[^A-Za-z0-9_.-]")
LONGEST = 100
DATABASE, CACHE, LAYER, MAIL, STORAGE = "database", "cache", "channel_layer", "mail", "storage"


@dataclass(frozen=True, kw_only=True, slots=True)
class AliasKind:
    """What a setting has aliases of. Times are in seconds, as of `Target`.

    `aliases` are all of them, `is_remote` says of one that a server stands behind it; `covered` have one of the 22
    checks.
    """

    setting: str
    find: Callable[[DiscoveryContext, str], Check]
    aliases: Callable[[], Iterable[str]]
    is_remote: Callable[[str], bool] = lambda _: True
    covered: frozenset[str] = field(default=frozenset(["default"]))
    modules: Callable[[str], Iterator[str]] = lambda _: iter(())
    timeout: float | None = None
    ttl: float | None = None
    breaker: specs.Breaker | None = None

    def target(self, alias: str) -> Target:
        """Return the row of one alias."""
        find, setting = partial(_find, self.find, alias), f"{self.setting}[{alias!r}]"
        return Target(find=find, setting=setting, timeout=self.timeout, ttl=self.ttl, breaker=self.breaker)


def _find(find: Callable[[DiscoveryContext, str], Check], alias: str, search: DiscoveryContext) -> Check:
    return find(search, alias)


# By the prefix of the names of their checks, which is also the 'kind' of one in `CHECKS`.
ALIAS_KINDS = {
    DATABASE: AliasKind(
        setting="DATABASES",
        find=databases.of_alias,
        aliases=databases.aliases,
        timeout=CATALOGUE["database_connectivity"].timeout,
    ),
    CACHE: AliasKind(
        setting="CACHES",
        find=caches.of_alias,
        aliases=caches.aliases,
        is_remote=caches.is_remote,
        covered=frozenset(["default", "select2"]),
        modules=cache_modules,
    ),
    LAYER: AliasKind(
        setting="CHANNEL_LAYERS",
        find=messaging.of_layer,
        aliases=messaging.layers,
        modules=channel_modules,
    ),
    MAIL: AliasKind(
        setting="MAILERS",
        find=mail.of_mailer,
        aliases=mail.mailers,
        ttl=CATALOGUE["aws_ses"].ttl,
        breaker=CATALOGUE["aws_ses"].breaker,
    ),
    # A request costs money, as one to an API does.
    STORAGE: AliasKind(
        setting="STORAGES",
        find=storages.of_storage,
        aliases=storages.storages,
        is_remote=storages.is_remote,
        covered=frozenset(),
        modules=storage_modules,
        ttl=300,
        breaker=PAID_API,
    ),
}


def further_targets() -> tuple[dict[str, Target], list[Problem]]:
    """Return the rows of all aliases that none of the 22 covers, by name, and what is wrong. Connects to nothing."""
    targets: dict[str, Target] = {}
    problems = []
    for kind, alias in further_aliases():
        name, target = name_of(kind, alias), ALIAS_KINDS[kind].target(alias)
        if name in CATALOGUE or name in targets:
            owner = f"that of {targets[name].setting}" if name in targets else "another check"
            message = f"{target.setting} has no check of its own: {name!r} is {owner}."
            hint = f"Give it another name: LIFESIGNS['CHECKS'] = {{'...': {{'kind': {kind!r}, 'alias': {alias!r}}}}}."
            problems.append(Problem(TARGET_IN_PART, message, hint))
        else:
            targets[name] = target
    return targets, problems


def further_aliases(is_wanted: Callable[[str], bool] = lambda _: True) -> Iterator[tuple[str, str]]:
    """Yield the kind and the alias of each that has a server and none of the 22 checks, if its check is wanted.

    What is not wanted is not imported either.
    """
    for kind, found in ALIAS_KINDS.items():
        for alias in found.aliases():
            if not isinstance(alias, str) or alias in found.covered or not is_wanted(name_of(kind, alias)):
                continue
            if found.is_remote(alias):
                yield kind, alias


def name_of(kind: str, alias: str) -> str:
    """Return the name of the check of an alias: with `_` for what cannot stand in one."""
    return ODD.sub("_", f"{kind}_{alias}")[:LONGEST]
