"""NSD, an authoritative name server, with one zone that has records of every type, and one that is broken."""

from __future__ import annotations

import socket
from contextlib import suppress

from tests.services.base import Service, program

ZONE = """\
$ORIGIN example.test.
$TTL 300
@       IN SOA   ns.example.test. admin.example.test. 2026112901 7200 3600 1209600 60
@       IN NS    ns.example.test.
@       IN MX    10 mail.example.test.
@       IN MX    20 mail2.example.test.
@       IN CAA   0 issue "letsencrypt.org"
@       IN TXT   "v=spf1 -all"
ns      IN A     127.0.0.1
www     IN A     192.0.2.1
www     IN A     192.0.2.2
www     IN AAAA  2001:db8::1
shop    IN CNAME www
empty   IN TXT   "no address here"
long    IN TXT   "first part, " "second part"
_sip._tcp IN SRV 5 10 5060 sip.example.test.
sub     IN NS    ns.elsewhere.test.
"""
REVERSE = """\
$ORIGIN 2.0.192.in-addr.arpa.
$TTL 300
@ IN SOA ns.example.test. admin.example.test. 1 7200 3600 1209600 60
@ IN NS  ns.example.test.
1 IN PTR www.example.test.
"""
# More than the 512 bytes of a datagram.
MANY = [f"198.51.100.{number}" for number in range(1, 101)]


class Nsd(Service):
    name = "nsd"

    def prepare(self) -> None:
        many = "".join(f"many IN A {address}\n" for address in MANY)
        (self.directory / "example.zone").write_text(ZONE + many)
        (self.directory / "reverse.zone").write_text(REVERSE)
        zones = {
            "example.test": "example.zone",
            "2.0.192.in-addr.arpa": "reverse.zone",
            "broken.test": "missing.zone",
        }
        lines = [
            "server:",
            f"  ip-address: {self.host}@{self.port}",
            "  server-count: 1",
            '  username: ""',
            '  database: ""',
            f'  zonesdir: "{self.directory}"',
            f'  pidfile: "{self.directory}/nsd.pid"',
            f'  xfrdfile: "{self.directory}/xfrd.state"',
            f'  zonelistfile: "{self.directory}/zone.list"',
            f'  xfrdir: "{self.directory}"',
            "remote-control:",
            "  control-enable: no",
        ]
        for zone, file in zones.items():
            lines += ["zone:", f"  name: {zone}", f'  zonefile: "{file}"']
        (self.directory / "nsd.conf").write_text("\n".join(lines) + "\n")

    def arguments(self) -> list[str]:
        return [program("nsd"), "-d", "-c", str(self.directory / "nsd.conf")]

    def ready(self) -> bool:
        query = b"\x12\x34\0\0\0\1\0\0\0\0\0\0\7example\4test\0\0\6\0\1"
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.5)
            client.connect((self.host, self.port))
            client.send(query)
            return client.recv(512)[:2] == query[:2]
        return False
