"""The cells of the matrix: what goes wrong where, and how it is made to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults import callables, crowds
from tests.faults.dependencies import Dependency, Gate
from tests.faults.names import Names
from tests.faults.project import Project
from tests.servers import misbehaving
from tests.servers.black_hole import FullBacklog
from tests.servers.server import MisbehavingServer

BLACK_HOLE = "127.0.0.78"
ALL = ("PostgreSQL", "Redis", "MQTT", "WebSocket", "AMQP", "SMTP", "HTTP", "Storage", "Migrations", "gRPC", "TLS")
# What can be done to the server itself is done to the one that is reached by UDP, too.
SERVERS = (*ALL, "DNS")
# Where each protocol's answer starts, so that a client reads on.
BEGINNINGS = {
    "PostgreSQL": b"R\0\0\0\x08\0\0\0\0",
    "Redis": b"$1000000000\r\n",
    "MQTT": b"\x20\xff\xff\xff\x7f",
    "WebSocket": b"HTTP/1.1 101 Switching Protocols\r\nX-Padding: ",
    "AMQP": b"\x01\0\0\0\0\xff\xff\0\x0a\0\x0a",
    "SMTP": b"220-",
    "HTTP": b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n",
    # Of a HEAD, whose answer has no body.
    "Storage": b"HTTP/1.1 200 OK\r\nX-Padding: ",
    "Migrations": b"R\0\0\0\x08\0\0\0\0",
    # Settings, and then a frame of a length that is allowed; the record of a handshake.
    "gRPC": b"\0\0\0\4\0\0\0\0\0\0\x40\0\0\0\0\0\0\1",
    "TLS": b"\x16\3\3\x40\0",
}

Apply = Callable[[Project, Dependency], AbstractContextManager[None]]

_orders = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`gates` says that it is made in front of the server, `names` that host names are needed for it, `alerts` that the
    project alerts.

    `is_noticed`: whether the native checks have to notice it. `bound`: how long the interpreter itself is held up.
    """

    name: str
    apply: Apply
    on: tuple[str, ...] = ALL
    gates: bool = True
    names: bool = False
    alerts: bool = False
    is_noticed: bool = True
    held: float = 0.0
    checks: tuple[str, ...] = ()
    note: str = ""


@contextmanager
def _stopped(project: Project, dependency: Dependency) -> Iterator[None]:
    dependency.service.suspend()
    try:
        yield
    finally:
        dependency.service.resume()


@contextmanager
def _killed(project: Project, dependency: Dependency) -> Iterator[None]:
    dependency.service.kill()
    try:
        yield
    finally:
        dependency.service.start()


@contextmanager
def _restarted(project: Project, dependency: Dependency) -> Iterator[None]:
    dependency.service.kill()
    dependency.service.start()
    yield


def _gate(dependency: Dependency) -> Gate:
    assert dependency.gate is not None
    return dependency.gate


@contextmanager
def _dropped(project: Project, dependency: Dependency) -> Iterator[None]:
    _gate(dependency).drop()
    try:
        yield
    finally:
        _gate(dependency).resume()


@contextmanager
def _forgotten(project: Project, dependency: Dependency) -> Iterator[None]:
    _gate(dependency).forget()
    try:
        yield
    finally:
        _gate(dependency).reset()


def _names(project: Project) -> Names:
    assert project.names is not None
    return project.names


@contextmanager
def _black_holed(project: Project, dependency: Dependency) -> Iterator[None]:
    with FullBacklog(BLACK_HOLE, dependency.port):
        _names(project).point(dependency.host_name, BLACK_HOLE)
        _gate(dependency).cut()
        try:
            yield
        finally:
            _names(project).reset()


def _named(*, answers: bool) -> Apply:
    @contextmanager
    def apply(project: Project, dependency: Dependency) -> Iterator[None]:
        names = _names(project)
        names.answers = answers
        names.point(dependency.host_name, None)
        _gate(dependency).cut()
        try:
            yield
        finally:
            names.reset()

    return apply


def _led_to(server: Callable[[str], MisbehavingServer]) -> Apply:
    """Instead of the real server there is one that misbehaves."""

    @contextmanager
    def apply(project: Project, dependency: Dependency) -> Iterator[None]:
        with ExitStack() as undo:
            instead = undo.enter_context(server(dependency.name))
            undo.callback(_gate(dependency).reset)
            _gate(dependency).lead_to(instead.host, instead.port)
            yield

    return apply


def _resets(name: str) -> MisbehavingServer:
    """In the middle of its answer; where the server speaks first, in the middle of its greeting."""
    beginning = BEGINNINGS[name]
    return misbehaving.resets(0, greeting=beginning) if name == "SMTP" else misbehaving.resets(1, greeting=beginning)


def _ordered(misbehaviour: str, file: Callable[[Project], Path]) -> Apply:
    @contextmanager
    def apply(project: Project, dependency: Dependency) -> Iterator[None]:
        file(project).write_text(f"{misbehaviour} {next(_orders)}\n")
        try:
            yield
        finally:
            file(project).write_text("")

    return apply


def _called(misbehaviour: str) -> Apply:
    return _ordered(misbehaviour, lambda project: project.order)


@contextmanager
def _alerting_webhooks(project: Project, dependency: Dependency) -> Iterator[None]:
    assert project.receivers is not None
    with _called("raises")(project, dependency):
        project.receivers.wait_for_webhooks()
        yield


@contextmanager
def _alerting_by_mail(project: Project, dependency: Dependency) -> Iterator[None]:
    assert project.receivers is not None
    with _ordered("fails", lambda project: project.command_order)(project, dependency):
        project.receivers.wait_for_mail()
        yield


@contextmanager
def _without_program(project: Project, dependency: Dependency) -> Iterator[None]:
    away = project.program.with_suffix(".away")
    project.program.rename(away)
    try:
        yield
    finally:
        away.rename(project.program)


def _through_apis(**answers: object) -> Apply:
    @contextmanager
    def apply(project: Project, dependency: Dependency) -> Iterator[None]:
        http = project.dependencies.stack.http
        http.control(google=answers, openai=answers, anthropic=answers)
        try:
            yield
        finally:
            http.control()

    return apply


def _crowded(crowd: Callable[[Project], AbstractContextManager[None]]) -> Apply:
    return lambda project, _: crowd(project)


NOT_NOTICED = "found dead and replaced within the same check: no false alarm"
FAULTS = (
    Fault(name="process stopped (SIGSTOP)", apply=_stopped, on=SERVERS, gates=False),
    Fault(name="killed (SIGKILL), stays away", apply=_killed, on=SERVERS, gates=False),
    Fault(
        name="killed (SIGKILL), restarted at once",
        apply=_restarted,
        on=SERVERS,
        gates=False,
        is_noticed=False,
        note=NOT_NOTICED,
    ),
    Fault(
        name="max_connections used up",
        apply=_crowded(crowds.postgres),
        on=("PostgreSQL",),
        gates=False,
    ),
    Fault(
        name="maxclients used up",
        apply=_crowded(crowds.redis),
        on=("Redis",),
        gates=False,
    ),
    Fault(
        name="out of memory (-OOM to writes)",
        apply=_crowded(crowds.redis_memory),
        on=("Redis",),
        gates=False,
        checks=("default_cache", "select2_cache"),
    ),
    Fault(name="429 Too Many Requests", apply=_through_apis(status=429, retry_after=7), on=("HTTP",), gates=False),
    Fault(name="503 Service Unavailable", apply=_through_apis(status=503), on=("HTTP",), gates=False),
    Fault(name="packets dropped to established connections", apply=_forgotten, is_noticed=False, note=NOT_NOTICED),
    Fault(name="packets dropped to all connections", apply=_dropped),
    Fault(name="packets dropped to new connections (SYN)", apply=_black_holed, names=True),
    Fault(name="accepts and says nothing", apply=_led_to(lambda _: misbehaving.silent())),
    Fault(name="closes at once", apply=_led_to(lambda _: misbehaving.closes())),
    Fault(name="resets mid-answer", apply=_led_to(_resets)),
    Fault(name="one byte a second for ever", apply=_led_to(lambda name: misbehaving.drip(BEGINNINGS[name]))),
    Fault(
        name="10 GB body",
        apply=_led_to(lambda name: misbehaving.http_huge() if name == "HTTP" else misbehaving.flood(BEGINNINGS[name])),
    ),
    Fault(name="endless redirects", apply=_led_to(lambda _: misbehaving.http_redirects()), on=("HTTP",)),
    Fault(name="invalid bytes", apply=_led_to(lambda _: misbehaving.garbage())),
    Fault(name="another protocol's banner", apply=_led_to(lambda _: misbehaving.banner())),
    Fault(name="name that does not resolve", apply=_named(answers=True), names=True),
    Fault(name="resolver that never answers", apply=_named(answers=False), names=True),
    *(
        Fault(
            name=name,
            apply=_called(misbehaviour),
            on=("callable",),
            gates=False,
            held=callables.GIL_SECONDS if misbehaviour == "holds_gil" else 0.0,
            note=note,
        )
        for name, misbehaviour, note in (
            ("`time.sleep(600)`", "sleeps", "the sleep is called off, to see it heal"),
            ("pure-Python loop", "loops", "the loop is called off, to see it heal"),
            ("holds the GIL in C for 5 s", "holds_gil", "no Python view can answer meanwhile: bounds + 5 s"),
            ("raises", "raises", ""),
            ("`sys.exit`", "exits", ""),
            ("deep recursion", "recurses", ""),
            ("returns a 100 MB dict", "returns_100_mb", ""),
        )
    ),
    *(
        Fault(
            name=name,
            apply=_ordered(misbehaviour, lambda project: project.command_order),
            on=("command",),
            gates=False,
            is_noticed=misbehaviour != "leaves",
            note=note,
        )
        for name, misbehaviour, note in (
            ("hangs and ignores SIGTERM", "hangs", ""),
            ("writes without end", "floods", ""),
            ("killed by a signal", "dies", ""),
            ("exits with 3", "fails", ""),
            ("leaves a process behind", "leaves", "it is ended: no fault of the check"),
        )
    ),
    Fault(name="program is gone", apply=_without_program, on=("command",), gates=False),
    Fault(
        name="receivers of alerts accept and say nothing",
        apply=_alerting_webhooks,
        on=("20 webhooks",),
        gates=False,
        alerts=True,
        checks=("callable",),
        note="a check fails, and 20 attempts to alert hang",
    ),
    Fault(
        name="mail server of alerts accepts and says nothing",
        apply=_alerting_by_mail,
        on=("alert mail",),
        gates=False,
        alerts=True,
        checks=("command",),
    ),
)


@dataclass(frozen=True)
class Cell:
    fault: Fault
    on: str

    def __str__(self) -> str:
        return f"{self.fault.name}: {self.on}"


CELLS = tuple(Cell(fault, on) for fault in FAULTS for on in fault.on)
