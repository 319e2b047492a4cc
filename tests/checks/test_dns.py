"""The DNS check against a real authoritative server, and against servers that misbehave."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lifesigns import Engine
from tests.servers import misbehaving
from tests.services import Nsd
from tests.services.nsd import MANY


def probe(server: str | None, name: str, record_type: str = "A", *, timeout: float = 5.0, **fields: Any) -> Any:
    engine = Engine(default_timeout=timeout)
    spec: dict[str, Any] = {"kind": "dns", "name": name, "record_type": record_type, "server": server, **fields}
    engine.register("dns", {name: value for name, value in spec.items() if value is not None})
    return engine.check("dns", refresh=True)


@contextmanager
def answering(answer: Callable[[bytes], bytes | None]) -> Iterator[str]:
    """A UDP server that answers each query so; `None`: not at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                query, client = server.recvfrom(4096)
                if not query:
                    return
                if (message := answer(query)) is not None:
                    server.sendto(message, client)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = server.getsockname()
        try:
            yield f"127.0.0.1:{address[1]}"
        finally:
            server.sendto(b"", address)
            thread.join()


def address_of(nsd: Nsd) -> str:
    return f"{nsd.host}:{nsd.port}"


@pytest.mark.parametrize(
    ("name", "record_type", "answers"),
    [
        ("www.example.test", "A", ["192.0.2.1", "192.0.2.2"]),
        ("WWW.Example.TEST.", "A", ["192.0.2.1", "192.0.2.2"]),
        ("shop.example.test", "A", ["192.0.2.1", "192.0.2.2"]),
        ("www.example.test", "AAAA", ["2001:db8::1"]),
        ("example.test", "CAA", ['0 issue "letsencrypt.org"']),
        ("shop.example.test", "CNAME", ["www.example.test"]),
        ("example.test", "MX", ["10 mail.example.test", "20 mail2.example.test"]),
        ("example.test", "NS", ["ns.example.test"]),
        ("1.2.0.192.in-addr.arpa", "PTR", ["www.example.test"]),
        ("192.0.2.1", "PTR", ["www.example.test"]),
        ("example.test", "SOA", ["ns.example.test admin.example.test 2026112901 7200 3600 1209600 60"]),
        ("_sip._tcp.example.test", "SRV", ["5 10 5060 sip.example.test"]),
        ("example.test", "TXT", ["v=spf1 -all"]),
        ("long.example.test", "TXT", ["first part, second part"]),
    ],
)
def test_records_of_each_type(nsd: Nsd, name: str, record_type: str, answers: list[str]) -> None:
    result = probe(address_of(nsd), name, record_type, expected=answers)
    assert result["status"] == "healthy", result
    details = result["details"]
    assert sorted(details["answers"]) == answers
    assert (details["record_type"], details["response_code"], details["authoritative"]) == (
        record_type,
        "NOERROR",
        True,
    )
    assert (details["ttl_seconds"], details["server"]) == (300, address_of(nsd))


@pytest.mark.parametrize(
    ("record_type", "expected", "status"),
    [
        ("A", ["192.0.2.2"], "healthy"),
        ("A", ["192.0.2.2", "192.0.2.3"], "error"),
        ("AAAA", ["2001:DB8:0::1"], "healthy"),
    ],
)
def test_expected_is_a_part_of_the_answers(nsd: Nsd, record_type: str, expected: list[str], status: str) -> None:
    result = probe(address_of(nsd), "www.example.test", record_type, expected=expected)
    assert result["status"] == status, result
    if status == "error":
        assert result["message"] == f"{address_of(nsd)} lacks A records of www.example.test: 192.0.2.3"


def test_answer_beyond_a_datagram_by_tcp(nsd: Nsd) -> None:
    result = probe(address_of(nsd), "many.example.test", expected=MANY)
    assert result["status"] == "healthy", result
    assert result["message"] == f"{address_of(nsd)} has 100 A records of many.example.test"
    assert len(result["details"]["answers"]) == 20


@pytest.mark.parametrize(
    ("name", "message", "error_type"),
    [
        ("nowhere.example.test", "{server} says that nowhere.example.test does not exist (NXDOMAIN)", None),
        ("empty.example.test", "{server} has no A record of empty.example.test", None),
        ("www.broken.test", "{server} cannot serve: it could not resolve the name (SERVFAIL)", "UnavailableError"),
        (
            "www.elsewhere.test",
            "{server} refused the request: it does not answer us for this name (REFUSED)",
            "RequestRejectedError",
        ),
        (
            "www.sub.example.test",
            "{server} cannot serve: it is lame: neither responsible for www.sub.example.test nor does it resolve names "
            "for us",
            "UnavailableError",
        ),
    ],
)
def test_no_answer_each_reason(nsd: Nsd, name: str, message: str, error_type: str | None) -> None:
    result = probe(address_of(nsd), name)
    assert result["status"] == "error", result
    assert result["message"] == message.format(server=address_of(nsd))
    assert result.get("error_type") == error_type


def test_server_gone_and_back() -> None:
    with Nsd() as own:
        assert probe(address_of(own), "www.example.test")["status"] == "healthy"
        own.suspend()
        silent = probe(address_of(own), "www.example.test", timeout=0.5)
        assert silent["message"] == "Timed out after 0.5 s (while waiting for the answer)"
        own.resume()
        assert probe(address_of(own), "www.example.test")["status"] == "healthy"
        own.kill()
        gone = probe(address_of(own), "www.example.test")
        assert gone["error_type"] == "ConnectionRefusedError", gone
        own.start()
        assert probe(address_of(own), "www.example.test")["status"] == "healthy"


def test_lost_datagram_is_sent_again() -> None:
    seen: list[bytes] = []

    def answer(query: bytes) -> bytes | None:
        seen.append(query)
        return a_record(query) if len(seen) > 1 else None

    with answering(answer) as server:
        result = probe(server, "example.test", expected=["192.0.2.9"])
    assert result["status"] == "healthy", result
    assert seen[0] == seen[1]


def a_record(query: bytes) -> bytes:
    header = query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
    return header + query[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x09"


@pytest.mark.parametrize(
    ("answer", "error_types"),
    [
        (lambda _: b"", {"TimeoutError"}),
        (lambda _: b"\xff" * 500, {"TimeoutError"}),
        (lambda query: bytes([query[0] ^ 1]) + a_record(query)[1:], {"TimeoutError"}),  # forged: another identifier
        (lambda query: a_record(query.replace(b"example", b"exbmple")), {"TimeoutError"}),
        (lambda query: query, {"TimeoutError"}),
        (lambda query: a_record(query)[:-3], {"ProtocolError"}),
        # A name that points at itself, and counts of records that are not there.
        (lambda query: a_record(query)[:-16] + b"\xc0\x1e\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\x09", {"ProtocolError"}),
        (lambda query: query[:2] + b"\x81\x80\0\1\xff\xff\xff\xff\xff\xff" + query[12:], {"ProtocolError"}),
        (lambda query: query[:2] + b"\x81\x81\0\1\0\0\0\0\0\0" + query[12:], {"RequestRejectedError"}),
        # Truncated, and nothing listens on TCP.
        (lambda query: query[:2] + b"\x83\x80\0\1\0\0\0\0\0\0" + query[12:], {"ConnectionRefusedError"}),
    ],
)
def test_hostile_answer_bounded(answer: Callable[[bytes], bytes], error_types: set[str]) -> None:
    with answering(lambda query: answer(query) or None) as server:
        result = probe(server, "example.test", timeout=0.5 if "TimeoutError" in error_types else 5.0)
    assert result["status"] == "error", result
    assert result["error_type"] in error_types, result


def test_port_that_is_closed() -> None:
    server = f"127.0.0.1:{misbehaving.refused_port()}"
    result = probe(server, "example.test")
    assert result["error_type"] == "ConnectionRefusedError", result
    assert result["message"] == f"{server} refused the connection"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "two words"}, "name must be a host name or an address, without spaces, "),
        ({"name": "192.0.2.1"}, "name must be a domain name; 192.0.2.1 is an address, as for PTR only"),
        ({"name": "a", "record_type": "ANY"}, "record_type must be one of 'A', 'AAAA',"),
        ({"name": "a", "server": "h:0"}, "server must be host or host:port, such as 192.0.2.53:53"),
        (
            {"name": "a", "expected": ["x"]},
            "expected must hold A records as a zone file has them, which expected[0] is ",
        ),
    ],
)
def test_wrong_specification_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Engine().register("dns", {"kind": "dns", **fields})


OF_THE_SYSTEM = textwrap.dedent("""
    import os, socket, threading, time
    from lifesigns import Engine

    first, second = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    first.bind(("127.0.0.2", 53))  # silent
    second.bind(("127.0.0.3", 53))

    def serve():
        while True:
            query, client = second.recvfrom(4096)
            record = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\xc0\\0\\2\\x09"
            second.sendto(query[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + query[12:] + record, client)

    threading.Thread(target=serve, daemon=True).start()
    engine = Engine(default_timeout=5.0)
    engine.register("dns", {"kind": "dns", "name": "example.test"})
    result = engine.check("dns")
    assert result["status"] == "healthy", result
    assert result["details"]["server"] == "127.0.0.3:53", result
    print("second server")
    os._exit(0)
""")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux namespaces")
def test_servers_of_the_system_in_turn(tmp_path: Path) -> None:
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("search example.org\nnameserver 127.0.0.2\nnameserver 127.0.0.3\n")
    prepare = f"ip link set lo up && mount --bind {configuration} /etc/resolv.conf || exit 77"
    script = f'{prepare}\nexec "{sys.executable}" -c "$1"'
    command = ["unshare", "--map-root-user", "--mount", "--net", "sh", "-c", script, "sh", OF_THE_SYSTEM]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if run.returncode == 77 or "unshare:" in run.stderr:
        pytest.skip(f"no namespaces here: {run.stderr.strip()}")
    assert run.stdout == "second server\n", run.stderr
