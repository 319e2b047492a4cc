"""From `STORAGES`, `MEDIA_ROOT`, `STATIC_ROOT` and `LOG_DIR` to the directories that the application uses."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Literal

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.storage import ManifestFilesMixin, StaticFilesStorage
from django.core.files.storage import FileSystemStorage

from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import DiscoveryContext, NoTargetError, WrongTargetError
from django_lifesigns.targets.storages import readable
from lifesigns import specs


def directory_permissions(search: DiscoveryContext) -> Check:
    """Check 8."""
    directories = dict(_written())
    if path := _path("LOG_DIR"):
        directories["LOG_DIR"] = specs.Directory(path=path, critical=True)
    if (path := _path("STATIC_ROOT")) and (search.required or _reads_static_files(path)):
        mode: Literal["write", "read"] = "write" if search.required else "read"
        directories["STATIC_ROOT"] = specs.Directory(path=path, critical=False, mode=mode)
    if not directories:
        raise NoTargetError(
            "set MEDIA_ROOT (and a FileSystemStorage in STORAGES), STATIC_ROOT or LOG_DIR for this check"
        )
    return specs.Directories(directories=directories)


def _written() -> Iterator[tuple[str, specs.Directory]]:
    """Yield the directories of storages: a `MEDIA_ROOT` that none of them uses is left over from another time."""
    media = _path("MEDIA_ROOT")
    seen: set[str] = set()
    for alias, storage, options in readable():
        if not issubclass(storage, FileSystemStorage) or issubclass(storage, StaticFilesStorage):
            continue
        location = _location(storage, options)
        if location is None or location in seen:
            continue
        seen.add(location)
        is_media = media is not None and os.path.abspath(media) == location
        name = "MEDIA_ROOT" if is_media else f"STORAGES[{alias!r}]"
        path = media if is_media and media else location
        yield name, specs.Directory(path=path, critical=is_media or alias == "default")


def _reads_static_files(path: str) -> bool:
    """Return whether files of `STATIC_ROOT` may be read at run time.

    With `DEBUG` those of the apps are. A directory that is not here is that of a web server elsewhere, unless the
    storage reads its manifest there.
    """
    if settings.DEBUG or not apps.is_installed("django.contrib.staticfiles"):
        return False
    storage = next((storage for alias, storage, _ in readable() if alias == "staticfiles"), object)
    return issubclass(storage, FileSystemStorage) and (issubclass(storage, ManifestFilesMixin) or os.path.isdir(path))


def _location(storage: type, options: Mapping[str, object]) -> str | None:
    """Return where a storage keeps its files; None: nowhere in particular."""
    try:
        # A subclass may know its place by itself. To make one touches no file.
        base = storage(**options).base_location
    except Exception:  # noqa: BLE001  # a subclass may do anything
        base = options.get("location", settings.MEDIA_ROOT)
    return os.path.abspath(os.fsdecode(base)) if base and isinstance(base, (str, os.PathLike)) else None


def _path(name: str) -> str | None:
    path = getattr(settings, name, None)
    if not path:
        return None
    if not isinstance(path, (str, os.PathLike)):
        raise WrongTargetError(f"{name} must be a path")
    return os.fsdecode(path)
