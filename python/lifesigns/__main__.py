"""`python -m lifesigns probe`: one line, and exit code 0 for yes, 1 for no, 2 for a wrong command line."""

from __future__ import annotations

import os
import sys

from lifesigns import _core

USAGE = """\
usage: python -m lifesigns probe (--alive | --ready) [--address ADDRESS | --store PATH] [options]

Asks a probe server, or the store of a host, whether a process is alive or ready. Exit code 0: yes, 1: no.

  --address ADDRESS    where the probe server listens: 127.0.0.1:9464 (the default), [::1]:9464 or unix:/path
  --store PATH         instead of a server: the directory or file of a store that processes share
  --application NAME   whose file that is in the directory (default: the only one there)
  --timeout SECONDS    how long to wait for the server's answer (default: 1)
  --wedged-after SECONDS   how long the interpreter of a process may not run, with --store (default: 30)"""

VALUES = {
    "--address": "127.0.0.1:9464",
    "--store": "",
    "--application": "",
    "--timeout": "1",
    "--wedged-after": "30",
}
SUFFIX = _core.STORE_SUFFIX
FLAGS = ("--alive", "--ready")


def main(arguments: list[str]) -> int:
    # By hand: importing argparse takes longer than all the rest.
    if arguments[:1] in (["-h"], ["--help"]) or arguments[1:] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    try:
        says, why = _probe(arguments)
    except ValueError as error:
        print(f"{USAGE}\n\nerror: {error}", file=sys.stderr)
        return 2
    print(why)
    return 0 if says else 1


def _probe(arguments: list[str]) -> tuple[bool, str]:
    if arguments[:1] != ["probe"]:
        raise ValueError("the only command is 'probe'")
    flags, values = _parse(arguments[1:])
    if len(flags) != 1:
        raise ValueError("one of --alive and --ready is needed")
    ready = "--ready" in flags
    if "--store" not in values:
        return _core.ask_server(
            values.get("--address", VALUES["--address"]), "/ready" if ready else "/alive", _seconds("--timeout", values)
        )
    if "--address" in values:
        raise ValueError("--address and --store exclude each other")
    path = values["--store"]
    if os.path.isdir(path):
        path = os.path.join(path, _file(path, values.get("--application", VALUES["--application"])))
    return _core.ask_store(path, ready, _seconds("--wedged-after", values))


def _file(directory: str, application: str) -> str:
    """The name of the store's file."""
    names = [application] if application else _applications(directory) or ["default"]
    if len(names) > 1:
        raise ValueError(f"--application is needed, one of {', '.join(names)}")
    return f"{names[0]}{SUFFIX}"


def _applications(directory: str) -> list[str]:
    found = sorted(os.listdir(directory))
    return [name[: -len(SUFFIX)] for name in found if name.endswith(SUFFIX) and not name.startswith(".")]


def _parse(arguments: list[str]) -> tuple[set[str], dict[str, str]]:
    """Flags, and options with their values: `--option value` or `--option=value`."""
    flags: set[str] = set()
    values: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in FLAGS:
            flags.add(argument)
        elif name not in VALUES:
            raise ValueError(f"unknown argument {argument!r}")
        else:
            given = value if equals else next(rest, None)
            if not given:
                raise ValueError(f"{name} needs a value")
            values[name] = given
    return flags, values


def _seconds(name: str, values: dict[str, str]) -> float:
    text = values.get(name, VALUES[name])
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number of seconds, not {text!r}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
