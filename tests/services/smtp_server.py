"""The process behind `Smtp`: aiosmtpd with one user, which keeps the mail that it takes as files where it works."""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
import ssl
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

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


REFUSALS = {"refused": "550 no such user", "later": "450 greylisted, try again"}


class Keeper:
    """Writes each message to a file, and refuses some recipients."""

    def __init__(self) -> None:
        self.numbers = count()

    async def handle_RCPT(self, _: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        refusal = REFUSALS.get(address.partition("@")[0])
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 OK"

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content.encode() if isinstance(envelope.content, str) else envelope.content or b""
        mail = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "options": envelope.mail_options,
            "content": content.decode("latin-1"),
        }
        new = Path("new")
        new.write_text(json.dumps(mail))
        new.rename(f"mail-{next(self.numbers):06}.json")
        return "250 OK"


async def serve(options: dict[str, Any]) -> None:
    expected = LoginPassword(options["user"].encode(), options["password"].encode())

    def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any) -> AuthResult:
        return AuthResult(success=given == expected, handled=False)  # not handled: aiosmtpd answers 535

    context = None
    if options["security"] != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options["certificate"], options["key"])
    starttls = options["security"] == "starttls"
    keeper = Keeper()

    def protocol() -> SMTP:
        server = CramSmtp(
            keeper,
            hostname="smtp.test",
            enable_SMTPUTF8=options["utf8"],
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
