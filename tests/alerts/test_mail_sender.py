"""Mail of alerts against a real SMTP server in each mode of encryption, and against one that follows a script."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.alerts.sending import EXTREME, SINCE, deliver
from tests.servers.misbehaving import MisbehavingServer
from tests.services import Certificates, Smtp
from tests.services.smtp import PASSWORD, USER, Mail, Security

SECURITY: dict[Security, str] = {"plain": "none", "starttls": "starttls", "tls": "tls"}


@pytest.fixture(scope="module")
def server() -> Iterator[Smtp]:
    with Smtp(utf8=True) as running:
        yield running


def channel(port: int, *to: str, sender: str = "Shop <noreply@shop.example>", **fields: Any) -> dict[str, Any]:
    mail_server = {"host": "localhost", "port": port, "security": "none"} | fields
    return {"type": "mail", "to": list(to) or ["ops@example.org"], "from": sender, "server": mail_server}


def with_login(port: int, *to: str, **fields: Any) -> dict[str, Any]:
    return channel(port, *to, username=USER, password=PASSWORD, **fields)


def last(server: Smtp) -> tuple[Mail, EmailMessage]:
    mail = server.mails()[-1]
    message = mail.message
    assert message.defects == []
    return mail, message


@pytest.mark.parametrize("security", SECURITY)
def test_message_delivered_over_each_encryption(certificates: Certificates, security: Security) -> None:
    with Smtp(security) as server:
        tls = {"tls": {"ca": str(certificates.ca)}}
        settings = with_login(server.port, "On call <ops@example.org>", security=SECURITY[security], **tls)
        attempt = deliver(settings)
        assert attempt == {
            "state": "delivered",
            "answer": "250",
            "reference": "<lifesigns.notice-1@shop.example>",
        }
        mail, message = last(server)
        assert (mail.sender, mail.recipients) == ("noreply@shop.example", ["ops@example.org"])
        error = "127.0.0.1:5432 refused the connection"
        assert message["Subject"] == f"[shop] CRITICAL: database_connectivity is failing: {error}"
        assert message["To"] == "On call <ops@example.org>"
        assert message["Auto-Submitted"] == "auto-generated"
        assert parsedate_to_datetime(message["Date"]).timestamp() == SINCE + 750
        text = message.get_content()
        assert "Last error: 127.0.0.1:5432 refused the connection" in text
        assert "Runbook: https://wiki.example.org/db" in text


def test_incident_is_one_thread(server: Smtp) -> None:
    settings = with_login(server.port)
    reference = deliver(settings)["reference"]
    _, first = last(server)
    assert first["In-Reply-To"] is None
    for kind in ("acknowledged", "reminded", "resolved"):
        assert deliver(settings, kind, reference=reference, id=f"notice-{kind}")["reference"] == reference
        _, message = last(server)
        assert message["In-Reply-To"] == first["Message-ID"] == reference
        assert message["References"].split()[0] == first["References"]
        assert message["Message-ID"] == f"<lifesigns.notice-{kind}@shop.example>"


@pytest.mark.parametrize("kind", ["triggered", "acknowledged", "reminded", "resolved"])
def test_nothing_can_be_injected(server: Smtp, kind: str) -> None:
    before = len(server.mails())
    dots = EXTREME | {"check": ".\r\n.\r\nQUIT", "message": "x\r\n.\r\nMAIL FROM:<evil@example.org>"}
    for changes in (EXTREME, dots):
        assert deliver(with_login(server.port), kind, **changes)["state"] == "delivered"
        mail, message = last(server)
        assert mail.recipients == ["ops@example.org"]
        assert message["Bcc"] is None
        assert all(len(line) <= 998 for line in mail.content.split(b"\r\n"))
    assert len(server.mails()) == before + 2
    assert message.get_content().startswith(".  .  QUIT of " if kind != "acknowledged" else "<ä🙂")


def test_recipients_refused_are_named_and_the_others_get_it(server: Smtp) -> None:
    settings = with_login(server.port, "refused@example.org", "Ops <ops@example.org>", "later@example.org")
    attempt = deliver(settings)
    refused = "refused@example.org (SMTP reply 550), later@example.org (SMTP reply 450)"
    assert (attempt["state"], attempt["answer"]) == ("delivered", f"250, but not to {refused}")
    assert last(server)[0].recipients == ["ops@example.org"]
    none = deliver(with_login(server.port, "refused@example.org"))
    said = "no recipient was accepted: refused@example.org (SMTP reply 550)"
    assert none == {"state": "refused", "answer": said}
    some = deliver(with_login(server.port, "refused@example.org", "later@example.org"))
    assert (some["state"], some["may_have_arrived"]) == ("failed", False)


def test_login_refused_is_for_good_and_a_server_that_is_not_there_is_not(server: Smtp) -> None:
    wrong = deliver(channel(server.port, username=USER, password="planted"))
    assert wrong["state"] == "refused"
    assert wrong["answer"].startswith("AuthenticationError: ")
    with Smtp() as gone:
        port = gone.port
    refused = deliver(channel(port))
    assert (refused["state"], refused["may_have_arrived"]) == ("failed", False)
    assert refused["answer"].startswith("ConnectionRefusedError: ")


def test_international_address_only_where_the_server_takes_it(server: Smtp) -> None:
    settings = with_login(server.port, "jürgen@bücher.example")
    assert deliver(settings)["state"] == "delivered"
    mail, message = last(server)
    assert mail.recipients == ["jürgen@xn--bcher-kva.example"]
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(mail.options)
    with Smtp() as older:
        refused = deliver(with_login(older.port, "jürgen@bücher.example"))
        assert refused["state"] == "refused"
        assert "does not offer SMTPUTF8" in refused["answer"]
        both = deliver(with_login(older.port, "jürgen@bücher.example", "ops@bücher.example"))
        assert both["state"] == "delivered"
        mail, message = last(older)
        assert mail.recipients == ["ops@xn--bcher-kva.example"]
        assert str(message["To"]) == "ops@xn--bcher-kva.example"


class Script:
    """An SMTP server that offers nothing, and gives its `replies` one after another, then none."""

    def __init__(self, *replies: str) -> None:
        self.received = b""
        self._replies = ("220 test", "250 test", *replies)

    def __call__(self) -> MisbehavingServer:
        async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            end = b"\r\n"
            for number, reply in enumerate(self._replies):
                if number > 0:
                    self.received += await reader.readuntil(end)
                writer.write(f"{reply}\r\n".encode())
                end = b"\r\n.\r\n" if reply.startswith("354") else b"\r\n"
            self.received += await reader.read(65_536)
            while await reader.read(65_536):
                pass

        return MisbehavingServer(behave)


def test_server_that_offers_nothing_gets_ascii() -> None:
    script = Script("250 ok", "250 ok", "354 go on", "250 taken", "221 bye")
    with script() as running:
        assert deliver(channel(running.port), message="größer als 80 %")["state"] == "delivered"
    hello, sender, recipient, data, rest = script.received.split(b"\r\n", 4)
    assert hello.startswith(b"EHLO ")
    assert (sender, recipient, data) == (b"MAIL FROM:<noreply@shop.example>", b"RCPT TO:<ops@example.org>", b"DATA")
    message, _, after = rest.partition(b"\r\n.\r\n")
    assert after == b"QUIT\r\n"
    body = message.partition(b"\r\n\r\n")[2]
    assert "größer als 80 %" in base64.b64decode(body).decode()


@pytest.mark.parametrize(
    ("replies", "state", "may_have_arrived", "answer"),
    [
        (("451 later",), "failed", False, "UnavailableError"),
        (("550 not from you",), "refused", None, "RequestRejectedError"),
        (("250 ok", "421 I am leaving"), "failed", False, "UnavailableError"),
        (("250 ok", "250 ok", "554 no mail today"), "refused", None, "RequestRejectedError"),
        (("250 ok", "250 ok"), "failed", False, "TimeoutError after 0.4 s"),
        (("250 ok", "250 ok", "354 go on", "552 too large"), "refused", None, "RequestRejectedError"),
        (("250 ok", "250 ok", "354 go on", "452 disk full"), "failed", False, "UnavailableError"),
        (("250 ok", "250 ok", "354 go on"), "failed", True, "TimeoutError after 0.4 s (while waiting for the answer)"),
        (("250 ok", "250 ok", "354 go on", "250 taken"), "delivered", None, "250"),
    ],
)
def test_reply_at_each_step(replies: tuple[str, ...], state: str, may_have_arrived: bool | None, answer: str) -> None:
    with Script(*replies)() as running:
        # Port and mode are given, so that the greeting is not waited for twice.
        attempt = deliver(channel(running.port), timeout=0.4)
    assert attempt["state"] == state
    assert attempt.get("may_have_arrived") is may_have_arrived
    assert attempt["answer"].startswith(answer)
