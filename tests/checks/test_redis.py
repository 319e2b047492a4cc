"""The Redis check against real servers, a sentinel, a cluster, and servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

import lifesigns
from tests import services
from tests.checks.redis_server import Configured
from tests.servers import misbehaving
from tests.services import Sentinel, wait_until
from tests.services.redis import DEFAULT_PASSWORD, PASSWORD, USER

DETAILS = {"redis_version", "uptime_seconds", "connected_clients", "used_memory_human", "role"}
WITHIN = 2.0  # seconds that a check of a server that misbehaves is given


@pytest.fixture(scope="module")
def server() -> Iterator[Configured]:
    with Configured() as server:
        yield server


@pytest.fixture(scope="module")
def secure() -> Iterator[Configured]:
    with Configured(tls=True) as server:
        yield server


@pytest.fixture(scope="module")
def sentinel(server: Configured) -> Iterator[Sentinel]:
    with Sentinel(server, password=True) as sentinel:
        yield sentinel


def check(url: str, *, timeout: float = 5.0, **fields: Any) -> Any:
    engine = lifesigns.Engine()
    engine.register("redis", {"kind": "redis", "url": url, **fields}, timeout=timeout)
    result = engine.check("redis", refresh=True)
    for secret in (PASSWORD, DEFAULT_PASSWORD, quote(PASSWORD, safe=""), "hunter2"):
        assert secret not in str(result)
    return result


def assert_error(result: Any, error_type: str, *words: str) -> None:
    assert (result["status"], result["error_type"]) == ("error", error_type), result
    for word in words:
        assert word in result["message"]


def assert_healthy(result: Any) -> None:
    assert result["status"] == "healthy", result
    assert set(result["details"]) >= DETAILS


# --- healthy -------------------------------------------------------------------------------------------------------


def test_redis__tcp(server: Configured) -> None:
    result = check(server.url)
    assert_healthy(result)
    details = result["details"]
    assert details["redis_version"][0].isdigit()
    assert details["uptime_seconds"] >= 0
    assert details["connected_clients"] >= 1
    assert details["used_memory_human"][-1] in "BKMG"
    assert details["role"] == "master"
    assert details["redis_version"] in result["message"]


def test_redis__unix_socket(server: Configured) -> None:
    assert_healthy(check(server.socket_url))
    assert_healthy(check(server.socket_url.replace("unix://", "redis+socket://")))


def test_redis__default_user_and_database(server: Configured) -> None:
    assert_healthy(check(server.url_for(7, user="", password=DEFAULT_PASSWORD)))


def test_redis__credentials_beside_the_url(server: Configured) -> None:
    url = f"redis://wrong:hunter2@{server.host}:{server.port}?db=3"
    assert_healthy(check(url, username=USER, password=PASSWORD))


def test_redis__tls(secure: Configured, certificates: services.Certificates) -> None:
    assert_healthy(check(secure.url, tls={"ca": str(certificates.ca)}))
    assert_healthy(check(secure.url + "?ssl_cert_reqs=none"))
    client = {"cert": str(certificates.client.certificate), "key": str(certificates.client.key)}
    assert_healthy(check(secure.url, tls={"ca": str(certificates.ca), **client}))


def test_redis__tls_unknown_authority(secure: Configured) -> None:
    assert_error(check(secure.url), "TLSError")


def test_redis__tls_wrong_host(secure: Configured, certificates: services.Certificates) -> None:
    url = secure.url.replace("127.0.0.1", "127.0.0.2")
    assert check(url, tls={"ca": str(certificates.ca)}, timeout=WITHIN)["error_type"] in (
        "TLSError",
        "ConnectionRefusedError",  # bound to 127.0.0.1 only
    )


def test_redis__tls_against_a_plain_server(server: Configured) -> None:
    result = check(server.url.replace("redis://", "rediss://"), timeout=WITHIN)
    assert result["error_type"] in ("TLSError", "TimeoutError"), result  # it waits for the end of the line


def test_redis__plain_against_a_tls_server(secure: Configured) -> None:
    assert secure.tls_port is not None
    url = f"redis://:{quote(PASSWORD, safe='')}@{secure.host}:{secure.tls_port}"
    assert check(url, timeout=WITHIN)["error_type"] in ("ProtocolError", "ConnectionResetError")


# --- the kept connection -------------------------------------------------------------------------------------------


def test_connection__one_per_server(server: Configured) -> None:
    engine = lifesigns.Engine()
    for number in range(12):
        engine.register(f"redis{number}", {"kind": "redis", "url": server.url_for(number)})
    for _ in range(3):
        report = engine.run(refresh=True)
        assert report["status"] == "healthy", report
    assert len([line for line in server.clients() if f"user={USER}" in line and "laddr=127" in line]) == 1


def test_close_connections__and_the_next_run_opens_one(server: Configured) -> None:
    assert_healthy(check(server.url))
    assert server.clients() != []
    lifesigns.close_connections()
    wait_until(lambda: server.clients() == [])
    assert_healthy(check(server.url))


def test_connection__killed_one_is_replaced(server: Configured) -> None:
    assert_healthy(check(server.url))
    before = {line.split()[0] for line in server.clients()}
    server.command("CLIENT", "KILL", "TYPE", "normal")
    assert_healthy(check(server.url))
    assert before.isdisjoint(line.split()[0] for line in server.clients())


def test_connection__restarted_server_is_no_failure() -> None:
    with Configured() as server:
        for end in (server.stop, server.kill):
            assert_healthy(check(server.url))
            end()
            server.start()
            assert_healthy(check(server.url))
            assert len(server.clients()) == 1


def test_connection__stopped_server() -> None:
    with Configured() as server:
        assert_healthy(check(server.url))
        server.stop()
        assert_error(check(server.url), "ConnectionRefusedError", str(server.port))


def test_connection__suspended_server_leaves_nothing_behind() -> None:
    with Configured() as server:
        assert_healthy(check(server.url))
        server.suspend()
        for _ in range(3):
            result = check(server.url, timeout=0.3)
            assert_error(result, "TimeoutError")
            assert result["timeout_seconds"] == 0.3
            assert result["duration_ms"] < 1500
        server.resume()
        assert_healthy(check(server.url))
        wait_until(lambda: len(server.clients()) == 1, 5, "one connection")


def test_connection__slow_answer_is_not_taken_for_the_next_one(server: Configured) -> None:
    assert_healthy(check(server.url))
    server.command("CLIENT", "PAUSE", "600", "ALL")
    assert_error(check(server.url, timeout=0.2), "TimeoutError", "Timed out after 0.2 s")
    assert_healthy(check(server.url))
    assert_healthy(check(server.url))


def test_connection__a_run_that_gives_up_does_not_disturb_another(server: Configured) -> None:
    assert_healthy(check(server.url))
    server.command("CLIENT", "PAUSE", "600", "ALL")
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda timeout=timeout: results.append(check(server.url, timeout=timeout)))
        for timeout in (0.2, 5.0)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result["status"] for result in results) == ["error", "healthy"], results


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_connection__a_fork_has_its_own(server: Configured) -> None:
    script = """
import os, sys, warnings
import lifesigns
warnings.simplefilter("ignore", DeprecationWarning)  # "multi-threaded, use of fork()": that is the point
engine = lifesigns.Engine()
engine.register("redis", {"kind": "redis", "url": sys.argv[1]})
assert engine.check("redis", refresh=True)["status"] == "healthy"
pid = os.fork()
status = [engine.check("redis", refresh=True)["status"] for _ in range(3)]
if pid == 0:
    os._exit(status != ["healthy"] * 3)
assert os.waitpid(pid, 0)[1] == 0 and status == ["healthy"] * 3, status
"""
    subprocess.run([sys.executable, "-c", script, server.url], check=True, timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("connection", ["tcp", "unix", "tls"])
def test_connection__of_the_parent_ends_while_a_forked_child_lives(
    server: Configured, secure: Configured, certificates: services.Certificates, connection: str
) -> None:
    script = """
import json, os, signal, sys, warnings
import lifesigns
warnings.simplefilter("ignore", DeprecationWarning)  # "multi-threaded, use of fork()": that is the point
engine = lifesigns.Engine()
engine.register("redis", json.loads(sys.argv[1]))
assert engine.check("redis", refresh=True)["status"] == "healthy"
pid = os.fork()
if pid == 0:
    sys.stdin.readline()
    os._exit(engine.check("redis", refresh=True)["status"] != "healthy")
lifesigns.close_connections()
print("closed", flush=True)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    redis, url = {
        "tcp": (server, server.url),
        "unix": (server, server.socket_url),
        "tls": (secure, secure.url),
    }[connection]
    spec = {"kind": "redis", "url": url, **({"tls": {"ca": str(certificates.ca)}} if redis is secure else {})}
    lifesigns.close_connections()
    wait_until(lambda: redis.clients() == [])
    command = [sys.executable, "-c", script, json.dumps(spec)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        try:
            assert parent.stdout.readline() == "closed\n"
            wait_until(lambda: redis.clients() == [], 5, "the end of the parent's connection")
            assert parent.poll() is None  # it waits for the child
            parent.stdin.write("check\n")
            parent.stdin.flush()
            assert parent.wait(30) == 0
        finally:
            parent.kill()


# --- refused -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user", "password"), [(USER, "hunter2"), ("unknown", "hunter2"), ("", "hunter2")])
def test_redis__wrong_credentials(server: Configured, user: str, password: str) -> None:
    assert_error(check(server.url_for(0, user=user, password=password)), "AuthenticationError", str(server.port))


def test_redis__no_credentials(server: Configured) -> None:
    assert_error(check(f"redis://{server.host}:{server.port}"), "AuthenticationError", "requires a password")


def test_redis__disabled_user(server: Configured) -> None:
    server.command("ACL", "SETUSER", "off", "off", ">hunter2")
    assert_error(check(server.url_for(0, user="off", password="hunter2")), "AuthenticationError")


def test_redis__password_for_a_server_without() -> None:
    with Configured('requirepass ""') as server:
        assert_error(check(server.url_for(0, user="", password="hunter2")), "AuthenticationError", "none in the server")


def test_redis__unknown_database(server: Configured) -> None:
    assert_error(check(server.url_for(99)), "RequestRejectedError", "database 99")


def test_redis__user_with_few_rights(server: Configured) -> None:
    server.command("ACL", "SETUSER", "few", "on", ">hunter2", "+ping")
    result = check(server.url_for(0, user="few", password="hunter2"))
    assert_healthy(result)
    assert result["message"] == "Connected to Redis; INFO not allowed"
    assert result["details"].pop("not_allowed") == ["INFO"]
    assert set(result["details"].values()) == {None}
    server.command("ACL", "SETUSER", "none", "on", ">hunter2")
    result = check(server.url_for(2, user="none", password="hunter2"))
    assert_healthy(result)
    assert result["details"]["not_allowed"] == ["PING", "INFO", "SELECT"]


def test_redis__maximum_number_of_clients() -> None:
    with Configured("maxclients 1") as server, socket.create_connection((server.host, server.port)) as only:
        only.sendall(b"PING\r\n")
        assert only.recv(100)
        for url in (server.url, f"redis://{server.host}:{server.port}"):
            assert_error(check(url), "UnavailableError", "maximum number of clients")


# --- degraded ------------------------------------------------------------------------------------------------------


def test_redis__above_maxmemory() -> None:
    with Configured("maxmemory 100kb", "maxmemory-policy noeviction") as server:
        result = check(server.url)
        assert result["status"] == "degraded"
        assert "maxmemory" in result["message"]
        server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert_healthy(check(server.url))


def test_redis__replica(server: Configured) -> None:
    lines = [
        f"replicaof {server.host} {server.port}",
        f"masteruser {USER}",
        f'masterauth "{PASSWORD}"',
        "repl-diskless-sync-delay 0",
    ]
    server.command("CONFIG", "SET", "repl-diskless-sync-delay", "0")
    with Configured(*lines) as replica:
        wait_until(lambda: "master_link_status:up" in replica.command("INFO", "replication"), 20, "no link")
        result = check(replica.url)
        assert_healthy(result)
        assert result["details"]["role"] == "slave"
        replica.command("REPLICAOF", server.host, str(services.free_port()))
        result = check(replica.url)
        assert result["status"] == "degraded"
        assert "lost its master" in result["message"]


# --- cluster -------------------------------------------------------------------------------------------------------


def test_cluster() -> None:
    # By default the bus is 10,000 above the port, where somebody else may listen.
    bus = f"cluster-port {services.free_port()}"
    with Configured("cluster-enabled yes", bus, "cluster-node-timeout 500") as node:
        result = check(node.url, cluster=True)
        assert_error(result, "UnavailableError", "0 of 16384")
        node.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        wait_until(lambda: "cluster_state:ok" in node.command("CLUSTER", "INFO"), 20, "cluster not ok")
        result = check(node.url, cluster=True)
        assert_healthy(result)
        assert result["details"]["cluster_state"] == "ok"
        assert result["details"]["cluster_slots_ok"] == 16384
        node.command("CONFIG", "SET", "cluster-require-full-coverage", "no")
        node.command("CLUSTER", "DELSLOTSRANGE", "0", "383")
        result = check(node.url, cluster=True)
        assert result["status"] == "degraded"
        assert "16000 of 16384" in result["message"]
        assert_error(check(node.url_for(1), cluster=True), "RequestRejectedError", "database 1")
        node.command("ACL", "SETUSER", "few", "on", ">hunter2", "+ping", "+info")
        result = check(node.url_for(0, user="few", password="hunter2"), cluster=True)
        assert_healthy(result)
        assert result["details"]["not_allowed"] == ["CLUSTER INFO"]


def test_cluster_one_reachable_node_of_its_seeds_healthy() -> None:
    bus = f"cluster-port {services.free_port()}"
    with Configured("cluster-enabled yes", bus, "cluster-node-timeout 500") as node, misbehaving.silent() as silent:
        node.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        wait_until(lambda: "cluster_state:ok" in node.command("CLUSTER", "INFO"), 20, "cluster not ok")
        refused = f"{node.host}:{misbehaving.refused_port()}"
        nodes = [refused, f"{silent.host}:{silent.port}", f"{node.host}:{node.port}"]
        url = f"redis://{USER}:{quote(PASSWORD, safe='')}@{refused}"
        result = check(url, nodes=nodes)
        assert_healthy(result)
        assert result["details"]["cluster_state"] == "ok"
        assert result["duration_ms"] < 4000
        assert_error(check(url, nodes=[refused]), "ConnectionRefusedError", refused)


def test_cluster__node_of_none(server: Configured) -> None:
    assert_error(check(server.url, cluster=True), "RequestRejectedError", "no node of a cluster")


# --- sentinel ------------------------------------------------------------------------------------------------------

BY_SENTINEL: dict[str, Any] = {"sentinel_username": USER, "sentinel_password": PASSWORD}


def test_sentinel__finds_the_master(sentinel: Sentinel) -> None:
    url = f"redis://{USER}:{quote(PASSWORD, safe='')}@mymaster/2"
    assert_healthy(check(url, sentinels=[sentinel.address], **BY_SENTINEL))
    credentials: dict[str, Any] = {"username": USER, "password": PASSWORD}
    assert_healthy(check("redis://", **credentials, master="mymaster", sentinels=[sentinel.address], **BY_SENTINEL))


def test_sentinel__one_of_them_is_enough(server: Configured, sentinel: Sentinel) -> None:
    url = server.url.replace(f"{server.host}:{server.port}", "mymaster")
    refused = f"{sentinel.host}:{misbehaving.refused_port()}"
    with misbehaving.silent() as silent:
        sentinels = [refused, f"{silent.host}:{silent.port}", sentinel.address]
        assert_healthy(check(url, sentinels=sentinels, **BY_SENTINEL))
    assert_error(check(url, sentinels=[refused], **BY_SENTINEL), "ConnectionRefusedError", refused)


def test_sentinel_tls_apart_from_the_master(server: Configured, certificates: services.Certificates) -> None:
    """The sentinels speak TLS with a private CA, the master does not."""
    with Sentinel(server, password=True, tls=True) as sentinel:
        url = f"redis://{USER}:{quote(PASSWORD, safe='')}@mymaster"
        options: dict[str, Any] = {"sentinels": [f"{sentinel.host}:{sentinel.tls_port}"], **BY_SENTINEL}
        assert_healthy(check(url, sentinel_tls={"ca": str(certificates.ca)}, **options))
        assert_error(check(url, sentinel_tls={"ca": str(certificates.stranger.certificate)}, **options), "TLSError")
        plain: dict[str, Any] = {"sentinels": [sentinel.address], "sentinel_encrypted": False, **BY_SENTINEL}
        # The sentinel answers without TLS; the master, which must speak it, waits for a command in plain text.
        result = check(url.replace("redis://", "rediss://"), timeout=0.5, **plain)
        assert_error(result, "TimeoutError", "during the TLS handshake")


def test_sentinel__unknown_master(sentinel: Sentinel) -> None:
    refused = f"{sentinel.host}:{misbehaving.refused_port()}"
    result = check("redis://other", sentinels=[refused, sentinel.address], **BY_SENTINEL)
    assert_error(result, "RequestRejectedError", "other", sentinel.address)


def test_sentinel__wrong_password(sentinel: Sentinel) -> None:
    result = check("redis://mymaster", sentinels=[sentinel.address], sentinel_password="hunter2")
    assert_error(result, "AuthenticationError", sentinel.address)


def test_sentinel__wrong_password_of_the_master(server: Configured, sentinel: Sentinel) -> None:
    result = check("redis://:hunter2@mymaster", sentinels=[sentinel.address], **BY_SENTINEL)
    assert_error(result, "AuthenticationError", str(server.port))


def test_sentinel__failover(server: Configured) -> None:
    now = [server]

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            words = [(await reader.readline(), await reader.readline())[1] for _ in range(int(line[1:]))]
            writer.write(master_at(now[0]) if words[0] == b"SENTINEL\r\n" else b"+OK\r\n")

    with Configured() as promoted, misbehaving.MisbehavingServer(behave) as sentinel:
        before = set(server.clients())
        for now[0] in (server, promoted, server, promoted):
            url = f"redis://{USER}:{quote(PASSWORD, safe='')}@failover"
            assert_healthy(check(url, sentinels=[f"{sentinel.host}:{sentinel.port}"]))
        assert len(promoted.clients()) == 1
        wait_until(lambda: len(server.clients()) <= len(before), 5, "the former master keeps a connection")
        assert sentinel.connections == 1


def master_at(server: services.Redis) -> bytes:
    """A sentinel's answer."""
    words = (server.host, str(server.port))
    return b"*2\r\n" + b"".join(f"${len(word)}\r\n{word}\r\n".encode() for word in words)


def test_sentinel__names_a_replica(server: Configured) -> None:
    replica = Configured(f"replicaof {server.host} {server.port}")
    with replica, answers(b"+OK\r\n", master_at(replica)) as sentinel:
        url = replica.url.replace(f"{replica.host}:{replica.port}", "mymaster")
        result = check(url, sentinels=[f"{sentinel.host}:{sentinel.port}"])
        assert_error(result, "UnavailableError", "it is a replica")


@pytest.mark.parametrize(
    "answer",
    [
        b"*1\r\n$1\r\na\r\n",
        b"*2\r\n$3\r\na b\r\n$1\r\n1\r\n",
        b"*2\r\n$1\r\na\r\n$5\r\n99999\r\n",
        b"*2\r\n:1\r\n:1\r\n",
        b"+OK\r\n",
        b":1\r\n",
    ],
)
def test_sentinel__nonsense(answer: bytes) -> None:
    with answers(b"+OK\r\n", answer) as server:
        result = check("redis://m", sentinels=[f"{server.host}:{server.port}"], timeout=WITHIN)
        assert_error(result, "ProtocolError", "Redis Sentinel")


# --- servers that misbehave ----------------------------------------------------------------------------------------


def answers(*texts: bytes) -> misbehaving.MisbehavingServer:
    """Answers the first command with the first text, and so on; the last one for all that follow."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        while line := await reader.readline():
            for _ in range(2 * int(line[1:])):
                await reader.readline()
            writer.write(texts[min(number, len(texts) - 1)])
            await writer.drain()
            number += 1

    return misbehaving.MisbehavingServer(behave)


def url_of(server: Any) -> str:
    return f"redis://:hunter2@{server.host}:{server.port}/1"


@pytest.mark.parametrize(
    ("mode", "error_types"),
    [
        (misbehaving.silent, {"TimeoutError"}),
        (misbehaving.full_backlog, {"TimeoutError"}),
        (misbehaving.closes, {"ConnectionResetError"}),
        (misbehaving.resets, {"ConnectionResetError"}),
        (lambda: misbehaving.resets(10), {"ConnectionResetError"}),
        (misbehaving.garbage, {"ProtocolError"}),
        (misbehaving.banner, {"ProtocolError"}),
        (misbehaving.drip, {"ProtocolError", "TimeoutError"}),
        (lambda: misbehaving.drip(b"+", interval=0.1), {"TimeoutError"}),
        (misbehaving.flood, {"ProtocolError"}),
        (lambda: misbehaving.flood(b"+"), {"ResponseTooLargeError"}),
        (lambda: misbehaving.flood(b"$99999999999\r\n"), {"ResponseTooLargeError"}),
        (
            lambda: misbehaving.drip(b"*1\r\n", interval=0.001),
            {"TimeoutError", "ResponseTooLargeError", "ProtocolError"},
        ),
        (lambda: answers(b"$9223372036854775807\r\n"), {"TimeoutError", "ProtocolError"}),
        (lambda: answers(b"*2147483647\r\n"), {"TimeoutError", "ProtocolError"}),
        (lambda: answers(b"%9223372036854775807\r\n"), {"TimeoutError", "ProtocolError"}),
        (lambda: answers(b"*1\r\n" * 5000), {"ProtocolError"}),
        (lambda: answers(b"=-1\r\n"), {"TimeoutError", "ProtocolError"}),
        (lambda: answers(b"+OK\r\n"), {"ProtocolError"}),
        (lambda: answers(b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n", b":7\r\n"), {"ProtocolError"}),
        (lambda: answers(b"+OK\r\n", b"+OK\r\n", b"-LOADING hunter2\r\n"), {"UnavailableError"}),
        (lambda: answers(b"+OK\r\n", b"+OK\r\n", b"-MASTERDOWN hunter2\r\n"), {"UnavailableError"}),
        (lambda: answers(b"+OK\r\n", b"+OK\r\n", b"-OOM hunter2\r\n"), {"UnavailableError"}),
        (lambda: answers(b"+OK\r\n", b"+OK\r\n", b"-MISCONF hunter2\r\n"), {"UnavailableError"}),
        (lambda: answers(b"+OK\r\n", b"+OK\r\n", b"-hunter2\r\n"), {"RequestRejectedError"}),
        (lambda: answers(b"-DENIED hunter2\r\n"), {"UnavailableError"}),
        (lambda: answers(b"-ERR hunter2\r\n"), {"AuthenticationError"}),
        (lambda: answers(b"+OK\r\n", b"-ERR unknown\r\n", b"+PONG\r\n", b"$-1\r\n"), {"ProtocolError"}),
    ],
)
def test_redis__server_that_misbehaves(mode: Any, error_types: set[str]) -> None:
    with mode() as server:
        result = check(url_of(server), timeout=WITHIN)
        assert result["status"] == "error", result
        assert result["error_type"] in error_types, result
        assert result["duration_ms"] < (WITHIN + 1.5) * 1000


def test_redis__kept_connection_that_floods() -> None:
    """After one good answer it sends without a request: the next run gets a new connection."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for text in (b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n", b"$5\r\nrole:\r\n", b"+OK\r\n"):
            line = await reader.readline()
            for _ in range(2 * int(line[1:])):
                await reader.readline()
            writer.write(text)
        for _ in range(100):
            writer.write(b"+more\r\n" * 1000)
            await writer.drain()
        await reader.read()

    with misbehaving.MisbehavingServer(behave) as server:
        for _ in range(3):
            assert_healthy(check(url_of(server), timeout=WITHIN))
            wait_until(lambda: server.active == 0, 5, "still connected")


def test_redis__memory_is_bounded() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for prefix in (b"$9999999999\r\n", b"+") * 3:
        with misbehaving.flood(prefix) as server:
            assert_error(check(url_of(server)), "ResponseTooLargeError")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB


def test_redis__connect_refused_and_unknown_names() -> None:
    assert_error(check(f"redis://127.0.0.1:{misbehaving.refused_port()}"), "ConnectionRefusedError")
    assert_error(check("redis://does-not-exist.invalid"), "NameResolutionError", "does-not-exist.invalid")
    missing = check("unix:///does/not/exist.sock")
    assert_error(missing, "ConnectionError", "/does/not/exist.sock")


# --- wrong specifications ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"url": "http://:hunter2@h"}, "redis://"),
        ({"url": "redis://:hunter2@h/first"}, "number"),
        ({"url": "redis://:hunter2@h:0"}, "port"),
        ({"url": "redis://:hunter2@h", "masters": 1}, "master"),
        ({"url": "redis://:hunter2@h", "sentinels": ["a"], "cluster": True}, "cluster"),
        ({"url": 5}, "str"),
        ({"password": "hunter2"}, "url"),
    ],
)
def test_redis__wrong_specification(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        lifesigns.Engine().register("redis", {"kind": "redis", **fields})
    assert "hunter2" not in str(caught.value)
