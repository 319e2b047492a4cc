"""The checks of disks, directories, memory and CPU with psutil; thresholds as the other contenders have them: none."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil

from benches.comparison.plain.database import level, result

# A machine that has just compiled the engine is busy, and may be full: Lifesigns has the same bounds here.
NEVER = 1000.0
GIGABYTE = 1024**3


class System:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.paths = ["/", "/var/log", settings["MEDIA_ROOT"]]
        self.directories = {name: Path(settings[name]) for name in ("MEDIA_ROOT", "LOG_DIR", "STATIC_ROOT")}

    def checks(self) -> dict[str, Callable[[], dict[str, Any]]]:
        return {
            "disk_space": self.disks,
            "directory_permissions": self.permissions,
            "memory_usage": self.memory,
            "cpu_load": self.cpu,
        }

    def disks(self) -> dict[str, Any]:
        usage = {}
        for path in self.paths:
            disk, inodes = psutil.disk_usage(path), os.statvfs(path)
            usage[path] = {
                "total_gb": round(disk.total / GIGABYTE, 2),
                "free_gb": round(disk.free / GIGABYTE, 2),
                "percent_used": disk.percent,
                "inodes_free": inodes.f_favail,
            }
        fullest = max(disk["percent_used"] for disk in usage.values())
        return result(level(fullest, NEVER, NEVER), "disks", disk_usage=usage)

    def permissions(self) -> dict[str, Any]:
        directories = {}
        for name, path in self.directories.items():
            file = path / f".plain-{uuid4().hex}"
            with file.open("wb") as written:
                written.write(b"\n" * 4096)
                written.flush()
                os.fsync(written.fileno())
            file.unlink()
            directories[name] = {"exists": True, "writable": True, "path": str(path)}
        return result("healthy", "directories", directories=directories)

    def memory(self) -> dict[str, Any]:
        memory = psutil.virtual_memory()
        details = {"total_gb": memory.total / GIGABYTE, "available_gb": memory.available / GIGABYTE}
        return result(level(memory.percent, NEVER, NEVER), "memory", percent_used=memory.percent, **details)

    def cpu(self) -> dict[str, Any]:
        one, five, fifteen = psutil.getloadavg()
        load = one / len(os.sched_getaffinity(0))
        return result(level(load, NEVER, NEVER), "load", load_1min=one, load_5min=five, load_15min=fifteen)
