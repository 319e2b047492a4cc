"""A FUSE file system that is empty, or that answers nothing: what a dead mount is to the processes that touch it."""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from pathlib import Path

MS_NOSUID, MS_NODEV = 2, 4
MNT_DETACH = 2
LOOKUP, FORGET, GETATTR, STATFS, INIT = 1, 2, 3, 17, 26
ENOENT, ENOSYS = 2, 38
DIRECTORY = 0o040700


class Fuse:
    """Mounted for as long as the block lasts; `answers=False`: each operation waits until then."""

    def __init__(self, target: Path, *, answers: bool) -> None:
        self.target = target
        self.answers = answers

    def __enter__(self) -> None:
        self.device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0".encode()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"test", os.fsencode(self.target), b"fuse", MS_NOSUID | MS_NODEV, options):
            os.close(self.device)
            raise OSError(ctypes.get_errno(), "cannot mount FUSE here")
        if self.answers:
            threading.Thread(target=self._serve, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        ctypes.CDLL(None).umount2(os.fsencode(self.target), MNT_DETACH)
        os.close(self.device)  # fails what still waits

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self.device, 1 << 18)
            except OSError:
                return
            _, operation, unique = struct.unpack_from("=IIQ", request)
            if operation == FORGET:
                continue
            error, body = self._answer(operation)
            os.write(self.device, struct.pack("=IiQ", 16 + len(body), -error, unique) + body)

    @staticmethod
    def _answer(operation: int) -> tuple[int, bytes]:
        if operation == INIT:
            return 0, struct.pack("=IIIIHHIIHHI", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0).ljust(64, b"\0")
        if operation == GETATTR:
            attributes = struct.pack("=QQQQQQIIIIIIIIII", 1, 0, 0, 0, 0, 0, 0, 0, 0, DIRECTORY, 2, 0, 0, 0, 4096, 0)
            return 0, struct.pack("=QII", 0, 0, 0) + attributes
        if operation == STATFS:
            return 0, bytes(80)
        return (ENOENT if operation == LOOKUP else ENOSYS), b""
