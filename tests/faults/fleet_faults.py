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


def _between(begin: Callable[[Scene], object], end: Callable[[Scene], object]) -> Apply:
    @contextmanager
    def apply(scene: Scene) -> Iterator[None]:
        begin(scene)
        try:
            yield
        finally:
            end(scene)

    return apply


def _led_to(make: Callable[[], MisbehavingServer | Configured]) -> Apply:
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
    return _led_to(lambda: server(f'rename-command {command} ""'))


def _delayed(seconds: float) -> Apply:
    return _between(lambda scene: scene.gate.delay(seconds), lambda scene: scene.gate.delay(0))


def _memory(limit: str) -> Callable[[Scene], object]:
    return lambda scene: scene.redis.command("CONFIG", "SET", "maxmemory", limit)


def _replace(scene: Scene) -> None:
    """The replica takes the place of the master, which stays away."""
    scene.sentinel.command("SENTINEL", "FAILOVER", MASTER)
    wait_until(lambda: "role:master" in scene.replica.command("INFO", "replication"), timeout=120)


_killed = _between(lambda scene: scene.redis.kill(), lambda scene: scene.redis.start())
_failed_over = _between(lambda scene: scene.redis.kill(), _replace)
_stopped = _between(lambda scene: scene.redis.suspend(), lambda scene: scene.redis.resume())
_emptied = _between(lambda scene: scene.redis.command("FLUSHALL"), lambda scene: None)
_full = _between(_memory("1"), _memory("0"))
_other_password = _between(lambda scene: scene.set_password(OTHER_PASSWORD), lambda scene: scene.set_password(PASSWORD))
# Of a master that it never reaches: it keeps what it has, and takes nothing.
_read_only = _between(
    lambda scene: scene.redis.command("REPLICAOF", "127.0.0.1", str(misbehaving.refused_port())),
    lambda scene: scene.redis.command("REPLICAOF", "NO", "ONE"),
)
_dropped = _between(lambda scene: scene.gate.drop(), lambda scene: scene.gate.resume())
_forgotten = _between(lambda scene: scene.gate.forget(), lambda scene: scene.gate.reset())

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
