"""What may happen to the Redis of a fleet, and how it is made to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.checks.redis_server import Configured
from tests.faults.cells import BEGINNINGS
from tests.faults.dependencies import Gate
from tests.servers import misbehaving
from tests.servers.server import MisbehavingServer
from tests.services import wait_until
from tests.services.redis import Redis
from tests.services.sentinel import MASTER, Sentinel

# Of the fleet's own user of Redis.
USER, PASSWORD, OTHER_PASSWORD = "fleet", "fleet-password", "another-password"
ANSWER = BEGINNINGS["Redis"]


def server(*lines: str) -> Configured:
    """Make a Redis that knows the user of the fleet, also when it is started again."""
    return Configured(f"user {USER} on >{PASSWORD} ~* &* +@all", *lines)


@dataclass(frozen=True)
class Scene:
    """The server behind its gate, or behind a Sentinel that knows a replica of it."""

    redis: Redis
    gate: Gate
    replica: Redis
    sentinel: Sentinel

    def set_password(self, password: str) -> None:
        self.redis.command("ACL", "SETUSER", USER, "resetpass", f">{password}")
        self.redis.command("CLIENT", "KILL", "USER", USER)


Apply = Callable[[Scene], AbstractContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """`is_lost`: whether hosts have to do without the store meanwhile; `watched`: whether a Sentinel names it."""

    name: str
    apply: Apply
    is_lost: bool = True
    watched: bool = False

    def __str__(self) -> str:
        return self.name


@contextmanager
def _killed(scene: Scene) -> Iterator[None]:
    scene.redis.kill()
    try:
        yield
    finally:
        scene.redis.start()


@contextmanager
def _failed_over(scene: Scene) -> Iterator[None]:
    """The master is killed and stays away; its replica takes its place."""
    scene.redis.kill()
    try:
        yield
    finally:
        scene.sentinel.command("SENTINEL", "FAILOVER", MASTER)
        wait_until(lambda: "role:master" in scene.replica.command("INFO", "replication"), timeout=120)


@contextmanager
def _stopped(scene: Scene) -> Iterator[None]:
    scene.redis.suspend()
    try:
        yield
    finally:
        scene.redis.resume()


def _delayed(seconds: float) -> Apply:
    @contextmanager
    def apply(scene: Scene) -> Iterator[None]:
        scene.gate.delay(seconds)
        try:
            yield
        finally:
            scene.gate.delay(0)

    return apply


@contextmanager
def _emptied(scene: Scene) -> Iterator[None]:
    scene.redis.command("FLUSHALL")
    yield


@contextmanager
def _full(scene: Scene) -> Iterator[None]:
    scene.redis.command("CONFIG", "SET", "maxmemory", "1")
    try:
        yield
    finally:
        scene.redis.command("CONFIG", "SET", "maxmemory", "0")


@contextmanager
def _other_password(scene: Scene) -> Iterator[None]:
    scene.set_password(OTHER_PASSWORD)
    try:
        yield
    finally:
        scene.set_password(PASSWORD)


@contextmanager
def _read_only(scene: Scene) -> Iterator[None]:
    # Of a master that it never reaches: it keeps what it has, and takes nothing.
    scene.redis.command("REPLICAOF", "127.0.0.1", str(misbehaving.refused_port()))
    try:
        yield
    finally:
        scene.redis.command("REPLICAOF", "NO", "ONE")


@contextmanager
def _dropped(scene: Scene) -> Iterator[None]:
    scene.gate.drop()
    try:
        yield
    finally:
        scene.gate.resume()


@contextmanager
def _forgotten(scene: Scene) -> Iterator[None]:
    scene.gate.forget()
    try:
        yield
    finally:
        scene.gate.reset()


def _led_to(make: Callable[[], MisbehavingServer]) -> Apply:
    @contextmanager
    def apply(scene: Scene) -> Iterator[None]:
        with make() as instead:
            scene.gate.lead_to(instead.host, instead.port)
            try:
                yield
            finally:
                scene.gate.reset()

    return apply


def _without(command: str) -> Apply:
    """Another server, empty, that does not know a command."""

    @contextmanager
    def apply(scene: Scene) -> Iterator[None]:
        with server(f'rename-command {command} ""') as instead:
            scene.gate.lead_to(instead.host, instead.port)
            try:
                yield
            finally:
                scene.gate.reset()

    return apply


FAULTS = (
    Fault("killed, refuses", _killed),
    Fault("stopped (SIGSTOP)", _stopped),
    Fault("answers take 0.2 s", _delayed(0.1), is_lost=False),
    Fault("answers take 4 s", _delayed(2.0)),
    Fault("emptied (FLUSHALL)", _emptied, is_lost=False),
    Fault("out of memory (-OOM to writes)", _full),
    Fault("another password", _other_password),
    Fault("a read-only replica", _read_only),
    Fault("packets dropped to established connections", _forgotten, is_lost=False),
    Fault("packets dropped to all connections", _dropped),
    Fault("accepts and says nothing", _led_to(misbehaving.silent)),
    Fault("closes at once", _led_to(misbehaving.closes)),
    Fault("resets mid-answer", _led_to(lambda: misbehaving.resets(1, greeting=ANSWER))),
    Fault("one byte a second for ever", _led_to(lambda: misbehaving.drip(ANSWER))),
    Fault("10 GB answer", _led_to(lambda: misbehaving.flood(ANSWER))),
    Fault("invalid bytes", _led_to(misbehaving.garbage)),
    Fault("another protocol's banner", _led_to(misbehaving.banner)),
    Fault("a version without HELLO (RESP3)", _without("HELLO"), is_lost=False),
    Fault("a version without EVAL", _without("EVAL")),
    Fault("killed, its replica takes its place (Sentinel)", _failed_over, watched=True),
)
