"""Receivers of alerts that accept and say nothing."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from tests.servers import misbehaving
from tests.services import wait_until

if TYPE_CHECKING:
    from typing_extensions import Self

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
# Each channel has an attempt of its own.
WEBHOOKS = 20


class HangingReceivers:
    """A web server, which is that of many channels, and a mail server."""

    def __init__(self) -> None:
        self.webhook, self.mail = misbehaving.silent(), misbehaving.silent()

    def alerts(self, *, webhook: str, mail: str) -> dict[str, Any]:
        """Settings by which the first failure of the check `webhook` goes to the web server, that of `mail` by mail."""
        url = f"http://{self.webhook.host}:{self.webhook.port}/"
        hooks = {f"hook-{number}": {"type": "webhook", "url": url, "secrets": [SECRET]} for number in range(WEBHOOKS)}
        server = {"url": f"smtp://{self.mail.host}:{self.mail.port}"}
        channels = {
            **hooks,
            "mail": {"type": "mail", "to": ["ops@example.org"], "from": "a@example.org", "server": server},
        }
        routes = [
            {"checks": [webhook], "channels": list(hooks)},
            {"checks": [mail], "channels": ["mail"]},
            {"channels": []},
        ]
        return {"CHANNELS": channels, "ROUTES": routes, "FAILURES": 1, "SUCCESSES": 1}

    def wait_for_webhooks(self) -> None:
        """Wait until the request of each channel hangs."""
        wait_until(lambda: self.webhook.active >= WEBHOOKS, 30, "no alerts were sent")

    def wait_for_mail(self) -> None:
        wait_until(lambda: self.mail.active > 0, 30, "no mail was sent")

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(self.webhook)
            undo.enter_context(self.mail)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._undo.close()
