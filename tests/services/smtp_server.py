"""The process behind `Smtp`: aiosmtpd with one user, which accepts mail and forgets it."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import ssl
import sys
from contextlib import suppress
from typing import Any

from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class CramSmtp(SMTP):
    """aiosmtpd with CRAM-MD5 (RFC 2195), which it has not by itself."""

    credentials = LoginPassword(b"", b"")

    async def auth_CRAM__MD5(self, _: SMTP, args: list[str]) -> AuthResult:
        challenge = f"<{secrets.token_hex(8)}@smtp.test>"
        given = await self.challenge_auth(challenge)
        digest = hmac.new(self.credentials.password, challenge.encode(), "md5").hexdigest()
        expected = self.credentials.login + b" " + digest.encode()
        return AuthResult(success=given == expected, handled=False)


async def serve(options: dict[str, Any]) -> None:
    expected = LoginPassword(options["user"].encode(), options["password"].encode())

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        return AuthResult(success=given == expected, handled=False)  # not handled: aiosmtpd answers 535

    context = None
    if options["security"] != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options["certificate"], options["key"])
    starttls = options["security"] == "starttls"

    def protocol() -> SMTP:
        server = CramSmtp(
            Sink(),
            hostname="smtp.test",
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=authenticate,
            auth_required=True,
            auth_require_tls=starttls,
            auth_exclude_mechanism={"CRAM-MD5", "LOGIN", "PLAIN"} - set(options["mechanisms"]),
        )
        server.credentials = LoginPassword(expected.login, b"" if options["cram_refuses"] else expected.password)
        return server

    server = await asyncio.get_running_loop().create_server(
        protocol, options["host"], options["port"], ssl=None if starttls else context
    )
    await server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(json.loads(sys.argv[1])))
