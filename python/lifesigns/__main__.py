"""The command line: `lifesigns probe`, `lifesigns assets`, also as `python -m lifesigns`."""

from __future__ import annotations

import os
import sys

from lifesigns import _core

USAGE = """\
usage: lifesigns probe (--alive | --ready) [--address ADDRESS | --store PATH] [options]
       lifesigns assets --to DIRECTORY
       lifesigns --version

probe: requests from a probe server, or reads from the store of a host, whether a process is alive or ready, and prints
one line. Exit code 0: yes, 1: no, 2: wrong command line.

  --address ADDRESS    where the probe server listens: 127.0.0.1:9464 (the default), [::1]:9464 or unix:/path
  --store PATH         instead of a server: the directory or file of a store that processes share
  --application NAME   whose file that is in the directory (default: the only one there)
  --timeout SECONDS    how long to wait for the server's answer (default: 1)
  --wedged-after SECONDS   how long the interpreter of a process may not run, with --store (default: 30)

assets: copies the Grafana dashboard, Prometheus rules, Kubernetes manifests, and the files for HAProxy and systemd.
Files that are there already are kept, and named.

  --to DIRECTORY       where to; made if it is not there"""

PROBE_FLAGS = ("--alive", "--ready")
PROBE_VALUES = {
    "--address": "127.0.0.1:9464",
    "--store": "",
    "--application": "",
    "--timeout": "1",
    "--wedged-after": "30",
}
ASSETS = os.path.join(os.path.dirname(__file__), "assets")
SUFFIX = _core.STORE_SUFFIX


def run() -> None:
    """Run the command line of this process."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run a command line and return its exit code."""
    # By hand: importing argparse takes longer than all the rest.
    if any(argument in ("-h", "--help") for argument in arguments[:2]):
        print(USAGE)
        return 0
    if arguments == ["--version"]:
        print(f"lifesigns {_core.__version__}")
        return 0
    try:
        if arguments[:1] == ["assets"]:
            return _assets(arguments[1:])
        if arguments[:1] != ["probe"]:
            raise ValueError("the commands are 'probe' and 'assets'")
        is_fine, reason = _probe(arguments[1:])
    except ValueError as error:
        print(f"{USAGE}\n\nerror: {error}", file=sys.stderr)
        return 2
    print(reason)
    return 0 if is_fine else 1


def _probe(arguments: list[str]) -> tuple[bool, str]:
    flags, values = _parse(arguments, PROBE_FLAGS, PROBE_VALUES)
    if len(flags) != 1:
        raise ValueError("one of --alive and --ready is needed")
    ready = "--ready" in flags
    if "--store" not in values:
        address = values.get("--address", PROBE_VALUES["--address"])
        return _core.request_server(address, "/ready" if ready else "/alive", _seconds("--timeout", values))
    if "--address" in values:
        raise ValueError("--address and --store exclude each other")
    path = values["--store"]
    if os.path.isdir(path):
        path = os.path.join(path, _file(path, values.get("--application", "")))
    return _core.read_store(path, ready, _seconds("--wedged-after", values))


def _file(directory: str, application: str) -> str:
    """Return the name of the store's file."""
    names = [application] if application else _applications(directory) or ["default"]
    if len(names) > 1:
        raise ValueError(f"--application is needed, one of {', '.join(names)}")
    return f"{names[0]}{SUFFIX}"


def _applications(directory: str) -> list[str]:
    found = sorted(os.listdir(directory))
    return [name[: -len(SUFFIX)] for name in found if name.endswith(SUFFIX) and not name.startswith(".")]


def _assets(arguments: list[str]) -> int:
    _, values = _parse(arguments, (), {"--to": ""})
    if "--to" not in values:
        raise ValueError("--to is needed")
    if not os.path.isdir(ASSETS):
        print("This installation has no assets: install a wheel", file=sys.stderr)
        return 1
    import shutil

    try:
        for folder, _, files in sorted(os.walk(ASSETS)):
            target = os.path.join(values["--to"], os.path.relpath(folder, ASSETS))
            os.makedirs(target, exist_ok=True)
            for file in sorted(files):
                path = os.path.normpath(os.path.join(target, file))
                if os.path.exists(path):
                    print(f"{path} (kept)")
                else:
                    shutil.copyfile(os.path.join(folder, file), path)
                    print(path)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _parse(arguments: list[str], flags: tuple[str, ...], options: dict[str, str]) -> tuple[set[str], dict[str, str]]:
    """Return the flags, and the options with their values: `--option value` or `--option=value`."""
    given: set[str] = set()
    values: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument in flags:
            given.add(argument)
        elif name not in options:
            raise ValueError(f"unknown argument {argument!r}")
        else:
            text = value if equals else next(rest, None)
            if not text:
                raise ValueError(f"{name} needs a value")
            values[name] = text
    return given, values


def _seconds(name: str, values: dict[str, str]) -> float:
    text = values.get(name, PROBE_VALUES[name])
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} must be a number of seconds, not {text!r}") from None


if __name__ == "__main__":
    run()
