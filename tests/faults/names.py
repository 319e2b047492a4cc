"""Host names of our own: a hosts file and a name server that only one process and its children know."""

from __future__ import annotations

import os
import random
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

# The look-up of one name that is not answered takes 4 s; by the system's default it is 10.
OPTIONS = "timeout:1 attempts:4"
NO_SUCH_NAME = 3


def possible() -> bool:
    """Whether this is Linux and we are root: port 53 and mounts are not for everyone."""
    return sys.platform == "linux" and os.geteuid() == 0


class Names:
    """Each name is an address; one that is not known is looked up at a name server that knows none, or says nothing."""

    def __init__(self, directory: Path, names: dict[str, str]) -> None:
        self.usual = names
        self.answers = True
        # One of our own: several may run at a time.
        self._server = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.53"
        self._files = {
            path: directory / Path(path).name for path in ("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf")
        }
        self._files["/etc/resolv.conf"].write_text(f"nameserver {self._server}\noptions {OPTIONS}\n")
        self._files["/etc/nsswitch.conf"].write_text("hosts: files dns\n")
        self.reset()

    def reset(self) -> None:
        self.answers = True
        self.write(self.usual)

    def point(self, name: str, address: str | None) -> None:
        """Let `name` be another address, or none that the hosts file knows."""
        self.write({**self.usual, name: address})

    def write(self, names: dict[str, str] | dict[str, str | None]) -> None:
        lines = [f"{address} {name}\n" for name, address in {"localhost": "127.0.0.1", **names}.items() if address]
        self._files["/etc/hosts"].write_text("".join(lines))  # in place: it is the mounted one

    def command(self, *command: str) -> list[str]:
        """A command that sees these names."""
        mounts = " && ".join(f"mount --bind {file} {path}" for path, file in self._files.items())
        return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh", *command]

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self._server, 53))
        self._thread = threading.Thread(target=self._serve, name="names", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"", (self._server, 53))  # wakes it
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                return
            if self.answers:
                flags = 0x8180 | NO_SUCH_NAME
                # No answers, and nothing behind the question: the additional records of the query are left out.
                header = query[:2] + flags.to_bytes(2, "big") + b"\0\1" + bytes(6)
                end = query.index(b"\0", 12) + 5
                self._socket.sendto(header + query[12:end], client)
