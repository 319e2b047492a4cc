"""What is checked of the host, and of its processes."""

# Generated from src by tests/rust/specs, which compares it; write doc comments and fields there.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lifesigns.specs.base import Spec, StrPath, Value
from lifesigns.specs.rules import Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory(Value):
    """A directory that the application needs."""

    path: StrPath
    critical: bool | None = None
    """Not writable: an error if critical, else degraded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk(Spec):
    """The share (80%, 90%) of space and of inodes in use where the paths are."""

    kind: ClassVar[str] = "disk"
    paths: Sequence[StrPath]
    thresholds: Thresholds | None = None
    """Share of the space, and of the inodes, in use, in percent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory(Spec):
    """The share (80%, 90%) of memory in use: of the host, or of the fullest control group with a limit."""

    kind: ClassVar[str] = "memory"
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cpu(Spec):
    """The one-minute load average per available CPU (0.7, 0.9)."""

    kind: ClassVar[str] = "cpu"
    thresholds: Thresholds | None = None
    """One-minute load average per available CPU."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Directories(Spec):
    """Directories that the application needs, and what it must be able to do in each."""

    kind: ClassVar[str] = "directories"
    directories: Mapping[str, Directory]
    """By the name under which the directory stands in the details."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat(Spec):
    """`lifesigns.beat(name)` was called within the last `max_age` seconds, in this process or, where the engine has
    `share="host"`, in any that shares its store."""

    kind: ClassVar[str] = "heartbeat"
    name: str
    max_age: float
    """No heartbeat for longer is an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped(Spec):
    """Always skipped, for this reason."""

    kind: ClassVar[str] = "skipped"
    reason: str
