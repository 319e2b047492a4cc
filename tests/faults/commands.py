"""A program whose misbehaviour is chosen in a file: what a check of the kind `command` starts."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

SCRIPT = """#!/bin/sh
# Obeys the order in the file that is its first argument, and does well without one.
if [ "$1" = stay ]; then
    while :; do sleep 1; done
fi
read -r order number <"$1" || exit 0
case "$order" in
    hangs) trap '' TERM; while :; do sleep 0.1; done ;;
    floods) while :; do echo "$order $order $order $order"; done ;;
    dies) kill -KILL $$ ;;
    fails) exit 3 ;;
    leaves) "$0" stay & exit 0 ;;
esac
"""


def write_program(path: Path) -> None:
    path.write_text(SCRIPT)
    path.chmod(0o755)


def processes_of(path: Path) -> list[int]:
    """Return the processes that run the program, those that it has started among them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended
            if str(path).encode() in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found
