"""What is checked of the host, and of its processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lifesigns.specs.base import Spec, StrPath, Value
from lifesigns.specs.rules import Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk(Spec):
    """The share (80 %, 90 %) of space and of inodes in use where the paths are."""

    kind: ClassVar[str] = "disk"
    paths: Sequence[StrPath]
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory(Spec):
    """The share (80 %, 90 %) of the host's or the cgroup's memory in use, whichever is smaller."""

    kind: ClassVar[str] = "memory"
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cpu(Spec):
    """The one-minute load average per available CPU (0.7, 0.9)."""

    kind: ClassVar[str] = "cpu"
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory(Value):
    """A directory in which a file can be written; if not, an error where `critical` (True), else degraded."""

    path: StrPath
    critical: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Directories(Spec):
    """Directories by the name under which they stand in the details."""

    kind: ClassVar[str] = "directories"
    directories: Mapping[str, Directory]


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat(Spec):
    """Something said `lifesigns.beat(name)` within the last `max_age` seconds, in this process or, where the engine
    has ``share="host"``, in any that shares its store."""

    kind: ClassVar[str] = "heartbeat"
    name: str
    max_age: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped(Spec):
    """Always skipped, for this reason."""

    kind: ClassVar[str] = "skipped"
    reason: str
