"""Stands in for the native engine in a second interpreter of one process, which cannot load it: no check is run.

Apache's mod_wsgi gives each site of a daemon process an interpreter of its own. Reports are ``degraded`` and each check
is ``skipped``, saying why: what is unknown must not look healthy, and a setting of Apache's must not restart pods.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from datetime import datetime, timezone
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

MESSAGE = (
    "Checks are off in this interpreter, since another one of this process runs them: "
    "set WSGIApplicationGroup %{GLOBAL}, and one site for each WSGIDaemonProcess"
)
STORE_SUFFIX = ".lifesigns"
__version__ = ""


class UnknownCheckError(LookupError):
    """A name of a check, or of a group, that is not registered."""


def log() -> None:
    """Log, once in this interpreter, that checks are off."""
    import logging

    logging.getLogger("lifesigns").error(MESSAGE)


def parse_postgres_url(url: str) -> dict[str, str]:
    """Return the URL as it is: no check connects."""
    return {"url": url}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


class Sweep:
    """A sweep that ran nothing."""

    status = "degraded"
    done = True

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self.correlation_id = str(uuid.uuid4())

    def wait(self, deadline: float | None = None) -> None:
        """Return at once."""

    def remaining(self, deadline: float | None = None) -> float:
        """Return 0.0: there is nothing to wait for."""
        return 0.0

    def result(self, details: bool = True) -> dict[str, Any]:
        """Return the result of any check."""
        result = {"status": "skipped", "timestamp": _now(), "cached": False}
        return {**result, "message": MESSAGE, "duration_ms": 0.0} if details else result

    def report(self, details: bool = True) -> dict[str, Any]:
        """Return the report."""
        count = len(self._names)
        counts = {"total_checks": count, "healthy": 0, "degraded": 0, "errors": 0, "skipped": count}
        return {
            "status": self.status,
            "message": MESSAGE,
            "timestamp": _now(),
            "uptime_seconds": 0.0,
            "summary": {**counts, "health_percentage": 0.0},
            "checks": {name: self.result(details) for name in self._names},
            "correlation_id": self.correlation_id,
        }

    def json(self, details: bool = True) -> str:
        """Return the report as JSON."""
        return json.dumps(self.report(details))


class Engine:
    """Knows the names of checks, and nothing else."""

    def __init__(self, *_: object) -> None:
        self.names: list[str] = []
        self.groups: list[str] = []

    def add_group(self, name: str, *_: object) -> None:
        """Know the name of a group."""
        if name not in self.groups:
            self.groups.append(name)

    def names_of(self, group: str, *_: object) -> list[str]:
        """Return all checks: none is run."""
        if group not in self.groups:
            raise UnknownCheckError(f"Unknown group {group!r}")
        return self.names

    def _register(self, name: str, *_: object) -> None:
        if name in self.names:
            raise ValueError(f"{name}: a check of this name is registered already")
        self.names.append(name)

    register_spec = register_callable = _register

    def _replace(self, name: str, *_: object) -> None:
        if name not in self.names:
            raise UnknownCheckError(f"Unknown check {name!r}")

    replace_spec = replace_callable = _replace

    def breaker(self, name: str) -> Breaker:
        """Refuse: no check has a circuit breaker."""
        raise ValueError(f"{name}: {MESSAGE}")

    def run(self, names: Iterable[str] | None, *_: object) -> Sweep:
        """Run nothing."""
        selected = self.names if names is None else list(names)
        for name in selected:
            self._replace(name)
        return Sweep(list(selected))

    start = run

    def has_started(self, passing: bool) -> bool:
        """Return whether they pass now: nothing is kept."""
        return passing

    def metrics(self, openmetrics: bool) -> str:
        """Return no metrics."""
        return "# EOF\n" if openmetrics else ""

    def note(self, *_: object) -> bool:
        """Let no result be recorded."""
        return False

    def _nothing(self, *_: object) -> None:
        return None

    limit = take_events = start_background = resume = watch_claims = watch_result = _nothing


class Actions:
    """Actions that are run by the interpreter that runs the checks."""

    def __init__(self, *_: object) -> None: ...

    def configured(self) -> dict[str, Any]:
        """Return none, and why."""
        return {"off": MESSAGE, "actions": []}

    def entries(self) -> list[dict[str, Any]]:
        """Return none."""
        return []

    def _refuse(self, *_: object) -> Any:
        raise ValueError(MESSAGE)

    request = switch = _refuse

    def confirm(self, *_: object) -> None:
        """Confirm nothing."""


class Alerts:
    """Alerts that are sent by the interpreter that runs the checks."""

    def __init__(self, *_: object) -> None: ...

    def incidents(self, _open_only: bool) -> list[dict[str, Any]]:
        """Return none."""
        return []

    def silences(self) -> list[dict[str, Any]]:
        """Return none."""
        return []

    def is_holder(self) -> bool:
        """Return False."""
        return False

    def _refuse(self, *_: object) -> Any:
        raise ValueError(MESSAGE)

    acknowledge = silence = expire_silence = test_channel = retry = restore = _refuse

    def flush(self, _at_most: float) -> None:
        """Send nothing."""

    def confirm(self, *_: object) -> None:
        """Confirm nothing."""


class Breaker:
    """The circuit breaker of a check; there is none."""


class Permit:
    """The right to make one call."""

    def __enter__(self) -> Permit:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Circuit:
    """A circuit breaker that lets every call through."""

    state = "closed"
    retry_after = None
    failures = 0

    def __init__(self, *_: object) -> None: ...

    def acquire(self) -> Permit:
        """Allow the call."""
        return Permit()

    def reset(self) -> None:
        """Do nothing."""


class Server:
    """A probe server that does not serve."""

    def __init__(self, _engine: object, _startup: object, address: str, _options: object) -> None:
        self.address = address

    def close(self) -> None:
        """Do nothing."""


class Waker:
    """Never needed: every sweep has ended at once."""


def metrics_format(_accept: str) -> tuple[bool, str]:
    """Return the format of Prometheus."""
    return False, "text/plain; version=0.0.4; charset=utf-8"


def default_store() -> Path:
    """Return a directory; nothing is stored in it."""
    return Path(tempfile.gettempdir(), f"lifesigns-{os.getpid()}")


def request_server(*_: object) -> tuple[bool, str]:
    """Refuse."""
    return False, MESSAGE


def notice_for(_callable: int) -> None:
    """Return none: no channel is called here."""


def new_callable_id() -> int:
    """Return no number: no callable is ever run."""
    return 0


def reserve_threads(*_: object) -> int:
    """Reserve none."""
    return 0


def owns_engine() -> bool:
    """Return False: another interpreter has the engine."""
    return False


def uptime() -> float:
    """Return 0.0, as reports do."""
    return 0.0


def draining() -> bool:
    """Return False: nothing is drained here."""
    return False


def check_counters(_engine: object) -> dict[str, Any]:
    """Return none: nothing is counted here."""
    return {}


def start_recording(*_: object) -> None:
    """Gather nothing: nothing is found here."""


def is_recording(_engine: object) -> bool:
    """Return False: nothing is found here."""
    return False


def take_results(_engine: object, _reads: bool) -> list[tuple[str, Any, bool]]:
    """Return none: nothing is found here."""
    return []


def default_scope(_kind: str) -> str:
    """Return that nothing is shared beyond the host."""
    return "host"


def maintenance_windows(_maintenance: object, checks: list[str], *_: object) -> dict[str, Any]:
    """Return none: nothing is judged here."""
    return {check: [] for check in checks}


def heartbeats_of(_prefix: str) -> dict[str, float]:
    """Return none: they are sent to the interpreter that runs the checks."""
    return {}


def hold_address(address: str, _application: str) -> str:
    """Bind nothing."""
    return address


def notify_systemd(*_: object) -> bool:
    """Leave that to the interpreter that runs the checks."""
    return False


def _nothing(*_: object) -> None:
    return None


read_store = request_server
beat = fleet_view = close_connections = drain = loop_ended = loop_runs = release_threads = stop_interpreter_monitor = (
    thread_ends
) = objectives_turn = set_objectives = undrain = _nothing
hide = job_done = job_failed = job_raised = job_returned = job_unobserved = job_withdrawn = next_job = _nothing
