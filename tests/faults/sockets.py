"""Threads and TCP connections of a process, as /proc has them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ESTABLISHED, SYN_SENT, CLOSE_WAIT = "01", "02", "08"
OPEN = {ESTABLISHED, SYN_SENT, CLOSE_WAIT}


class Connection(NamedTuple):
    local_port: int
    remote_port: int
    inode: str


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident(pid: int) -> int:
    """Bytes of memory in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def table(pid: int) -> list[Connection]:
    """The connections in the network of the process; the kernel takes 10 ms to list them, however few there are."""
    return list(_connections(pid))


def outgoing(pid: int, ports: Set[int], connections: Iterable[Connection]) -> Counter[int]:
    """How many of these the process has to each of these ports, those it tries to open included."""
    own = _inodes(pid)
    ours = (connection for connection in connections if connection.inode in own)
    return Counter(connection.remote_port for connection in ours if connection.remote_port in ports)


def incoming(port: int, connections: Iterable[Connection]) -> int:
    """How many of these the server at this port has, or the kernel on its behalf."""
    return sum(connection.local_port == port for connection in connections)


def _connections(pid: int) -> Iterator[Connection]:
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] in OPEN:
                local, remote = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
                yield Connection(local, remote, fields[9])


def _inodes(pid: int) -> set[str]:
    inodes = set()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            target = os.readlink(f"/proc/{pid}/fd/{entry}")
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    return inodes
