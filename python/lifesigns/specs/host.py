"""What is checked of the host, and of its processes."""

# Generated from src by tests/rust/specs, which compares it; write doc comments and fields there.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from lifesigns.specs.base import Spec, StrPath, Value
from lifesigns.specs.rules import Thresholds


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory(Value):
    """A directory that the application needs."""

    path: StrPath
    critical: bool | None = None
    """Not usable: an error if critical (True), else degraded."""
    mode: Literal["write", "read"] | None = None
    """With "write" (default) a file can be written, synced and removed; a directory that does not exist yet counts
    as writable if it could be made. With "read" it exists and can be listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command(Spec):
    """A command, run without a shell, ends with the exit code `expect_exit` (0) within the check's timeout."""

    kind: ClassVar[str] = "command"
    argv: Sequence[str] = field(repr=False)
    """The program and its arguments. It is looked up in `PATH`, and no shell is involved."""
    cwd: StrPath | None = None
    """The directory to run it in. Default: that of this process."""
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    """Set beside the variables of this process."""
    expect_exit: int | None = None
    text: str | None = None
    """A text that the output must contain."""
    show_output: bool | None = None
    """Show the start of the output in details. Secrets are masked in it as far as they are known or look like one."""
    nagios: bool | None = None
    """Judge the exit code as one of a Nagios plugin: 0 healthy, 1 degraded, others an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk(Spec):
    """The share (80%, 90%) of space and of inodes in use where the paths are. Read-only file systems are shown, not
    judged; a path that does not exist is a warning in the details."""

    kind: ClassVar[str] = "disk"
    paths: Sequence[StrPath]
    """Those on one file system are one entry of the details, under the first of them."""
    thresholds: Thresholds | None = None
    """Share of the space, and of the inodes, in use, in percent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory(Spec):
    """The share (80%, 90%) of memory in use: of the host, or of the fullest control group with a limit."""

    kind: ClassVar[str] = "memory"
    thresholds: Thresholds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cpu(Spec):
    """The one-minute load average per available CPU (0.7, 0.9), while the kernel reports CPU pressure above
    `pressure_above` (10%). Where this process has fewer CPUs than the host, the load is only shown: the pressure or
    the throttling of its own control group is judged (25%, 75%)."""

    kind: ClassVar[str] = "cpu"
    thresholds: Thresholds | None = None
    """One-minute load average per available CPU."""
    pressure_above: float | None = None
    """Percent of the last minute in which something waited for a CPU (PSI, `some avg60`): up to here a high load is
    healthy."""
    group_thresholds: Thresholds | None = None
    """Of a control group with fewer CPUs than the host: percent of the last minute in which something in it waited
    for a CPU, or of its periods in which it was throttled, whichever is more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Directories(Spec):
    """A file can be written, synced and removed in each directory, or its content be read. Nothing is left behind,
    and no directory is created."""

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
