"""From `STORAGES` to the checks of those that are no file system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from django.conf import settings
from django.core.files.storage import FileSystemStorage, InMemoryStorage
from django.utils.module_loading import import_string

from django_lifesigns.checks.kinds import Check
from django_lifesigns.checks.storage import StorageCheck
from django_lifesigns.targets.context import DiscoveryContext, WrongTargetError


def of_storage(search: DiscoveryContext, alias: str) -> Check:
    """Check one storage, whichever it is, without writing: an object may cost money and start the project's tasks."""
    entry = settings.STORAGES[alias]
    try:
        import_string(entry["BACKEND"])
    except Exception as error:  # whatever a module raises when it is imported
        text = f"STORAGES[{alias!r}] needs a BACKEND, the dotted path of a class that can be imported"
        raise WrongTargetError(text) from error
    return StorageCheck(alias=alias)


def is_remote(alias: str) -> bool:
    """Return whether a storage is neither on this host nor in this process, or cannot be imported."""
    return not any(issubclass(storage, (FileSystemStorage, InMemoryStorage)) for _, storage, _ in _read([alias]))


def storages() -> list[str]:
    """Return all aliases of `STORAGES`."""
    return list(settings.STORAGES) if isinstance(settings.STORAGES, Mapping) else []


def readable() -> Iterator[tuple[str, type, Mapping[str, object]]]:
    """Yield the alias, the class and the options of the storages that can be imported."""
    yield from _read(storages())


def _read(aliases: Iterable[str]) -> Iterator[tuple[str, type, Mapping[str, object]]]:
    for alias in aliases:
        with suppress(Exception):  # whatever a module raises when it is imported
            entry = settings.STORAGES[alias]
            storage = import_string(entry["BACKEND"])
            if isinstance(storage, type):
                options = entry.get("OPTIONS")
                yield str(alias), storage, options if isinstance(options, Mapping) else {}
