"""Who sees what in answers that Python gives: statuses for all, details for callers with a token or from a network."""

from __future__ import annotations

import ipaddress
from hashlib import sha256
from hmac import compare_digest

from lifesigns.arguments import list_of_strings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

SHOW_DETAILS = ("authorized", "always", "never")


class Access:
    """The rules of a probe server, which `lifesigns.serve` describes.

    Raises:
        ValueError: a value is wrong.
    """

    def __init__(self, *, tokens: Iterable[str], networks: Iterable[str], show_details: str) -> None:
        if show_details not in SHOW_DETAILS:
            raise ValueError(f"show_details must be one of {', '.join(SHOW_DETAILS)}, not {show_details!r}")
        tokens = list_of_strings("tokens", tokens)
        if not all(tokens):
            raise ValueError("an empty token would authorize every caller")
        self._show_details = show_details
        self._tokens = [sha256(token.encode()).digest() for token in tokens]
        self._networks = [ipaddress.ip_network(text) for text in list_of_strings("networks", networks)]

    def shows_details(self, peer: str | None, authorization: str) -> bool:
        """Return whether a caller from the address `peer` with that ``Authorization`` header sees details."""
        if self._show_details != "authorized":
            return self._show_details == "always"
        # Not the first that answers yes: the time it takes is the same with any token.
        has_token = self._has_token(authorization)
        return self._is_in_network(peer) or has_token

    def _has_token(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        sent = sha256(token.strip().encode("latin-1", "replace")).digest()  # the bytes of the header
        found = sum(compare_digest(known, sent) for known in self._tokens)  # with each of them
        return found > 0 and scheme.lower() == "bearer"

    def _is_in_network(self, peer: str | None) -> bool:
        try:
            address = ipaddress.ip_address(peer or "")
        except ValueError:  # a Unix socket, a name
            return False
        # A listener on [::] sees IPv4 callers as ::ffff:192.0.2.1.
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)
