"""From `MEDIA_ROOT`, `STATIC_ROOT` and `LOG_DIR` to the checks of disks and directories, and those of the machine."""

from __future__ import annotations

from django.conf import settings

from django_lifesigns.discovery.search import NoTargetError, Search
from django_lifesigns.options import Check
from lifesigns import specs

# By setting: whether the application cannot work without it.
DIRECTORIES = {"MEDIA_ROOT": True, "LOG_DIR": True, "STATIC_ROOT": False}


def disk_space(search: Search) -> Check:
    """Check 7."""
    media = getattr(settings, "MEDIA_ROOT", None)
    return specs.Disk(paths=["/", "/var/log", *([str(media)] if media else [])])


def directory_permissions(search: Search) -> Check:
    """Check 8."""
    directories = {
        name: specs.Directory(path=str(path), critical=critical)
        for name, critical in DIRECTORIES.items()
        if (path := getattr(settings, name, None))
    }
    if not directories:
        raise NoTargetError(f"set {', '.join(DIRECTORIES)} to check directories")
    return specs.Directories(directories=directories)


def memory_usage(search: Search) -> Check:
    """Check 12."""
    return specs.Memory()


def cpu_load(search: Search) -> Check:
    """Check 13."""
    return specs.Cpu()
