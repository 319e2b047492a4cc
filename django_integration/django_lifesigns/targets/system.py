"""The checks of the machine: its disks, its memory, its processors."""

from __future__ import annotations

from django.conf import settings

from django_lifesigns.checks.kinds import Check
from django_lifesigns.targets.context import DiscoveryContext
from lifesigns import specs


def disk_space(search: DiscoveryContext) -> Check:
    """Check 7."""
    media = getattr(settings, "MEDIA_ROOT", None)
    return specs.Disk(paths=["/", "/var/log", *([str(media)] if media else [])])


def memory_usage(search: DiscoveryContext) -> Check:
    """Check 12."""
    return specs.Memory()


def cpu_load(search: DiscoveryContext) -> Check:
    """Check 13."""
    return specs.Cpu()
