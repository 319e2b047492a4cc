"""Reads the addresses of `PROBE_SERVER`, and says what is wrong with one."""

from __future__ import annotations

from ipaddress import ip_address

from django_lifesigns.settings.values import WrongValueError, strings


def addresses(value: object) -> tuple[str, ...]:
    must = "must be '127.0.0.1:9464', '[::1]:9464', '0.0.0.0:9464' or 'unix:/path', or a list of such"
    if isinstance(value, str):
        if not _is_address(value):
            raise WrongValueError(must, _wrong_address(value))
        return (value,)
    listed = strings(value, must)
    for number, address in enumerate(listed, 1):
        if not _is_address(address):
            raise WrongValueError(must, f"item {number}: {_wrong_address(address)}")
    return listed


def _wrong_address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text.startswith("unix:"):
        return "the path of the socket is not absolute"
    if not _is_port(port):
        return "there is no port from 1 to 65535 behind its last colon"
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return "its host is a name, not an IP address" if host else "there is no host before the port"
    return "an IPv6 address stands in brackets" if address.version == 6 else "only an IPv6 address stands in brackets"


def _is_address(text: str) -> bool:
    if text.startswith("unix:"):
        return text.startswith("unix:/")
    host, _, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return False
    return bracketed == (address.version == 6) and _is_port(port)


def _is_port(text: str) -> bool:
    # Not 0, of which every worker would make another one.
    return text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65_536
