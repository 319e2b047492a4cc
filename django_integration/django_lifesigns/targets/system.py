"""From `MEDIA_ROOT`, `STATIC_ROOT` and `LOG_DIR` to the checks of disks and directories, and those of the machine."""

from __future__ import annotations

from django.conf import settings

from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import DiscoveryContext, NoTargetError
from lifesigns import specs

# By setting: whether the application cannot work without it.
DIRECTORIES = {"MEDIA_ROOT": True, "LOG_DIR": True, "STATIC_ROOT": False}


def disk_space(search: DiscoveryContext) -> Check:
    """Check 7."""
    media = getattr(settings, "MEDIA_ROOT", None)
    return specs.Disk(paths=["/", "/var/log", *([str(media)] if media else [])])


def directory_permissions(search: DiscoveryContext) -> Check:
    """Check 8."""
    directories = {
        name: specs.Directory(path=str(path), critical=critical)
        for name, critical in DIRECTORIES.items()
        if (path := getattr(settings, name, None))
    }
    if not directories:
        raise NoTargetError(f"set {', '.join(DIRECTORIES)} to check directories")
    return specs.Directories(directories=directories)


def memory_usage(search: DiscoveryContext) -> Check:
    """Check 12."""
    return specs.Memory()


def cpu_load(search: DiscoveryContext) -> Check:
    """Check 13."""
    return specs.Cpu()
