"""Mail as the project sends it: natively by SMTP, or through Django's backend where that is an API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage

from django_lifesigns.targets.context import WrongTargetError
from django_lifesigns.targets.mail import server_of_mail
from lifesigns.apprise_channel import AppriseChannel

# Django's default, which is no real address.
PLACEHOLDER = "root@localhost"


def engine_channel(entry: Mapping[str, object]) -> dict[str, object]:
    """Return a channel of the settings as the engine takes it.

    Raises:
        ValueError: it is wrong, in a way that the engine cannot know.
    """
    kind = entry.get("type")
    if kind == "apprise":
        return {"type": "python", "callable": AppriseChannel(entry)}
    if kind == "python":
        raise ValueError("'type' is none of pagerduty, opsgenie, slack, mail, webhook and apprise")
    return _mail(entry) if kind == "mail" and "server" not in entry else dict(entry)


def _mail(entry: Mapping[str, object]) -> dict[str, object]:
    """Mail as the project sends it: natively where that is by SMTP, through Django's backend where it is not."""
    given = {"from": sender(), "to": administrators(), **entry}
    if not given["to"]:
        raise ValueError("'to' is missing, and ADMINS has no address")
    try:
        server = server_of_mail()
    except WrongTargetError as error:
        raise ValueError(str(error)) from error
    if server is None:
        return {"type": "python", "callable": DjangoMailChannel.of(given)}
    fields = {key: value for key, value in server.to_dict().items() if key != "kind" and value is not None}
    return {**given, "server": fields}


def sender() -> str:
    """Return the address from which Django itself writes to those who run it."""
    return settings.DEFAULT_FROM_EMAIL if settings.SERVER_EMAIL == PLACEHOLDER else settings.SERVER_EMAIL


def administrators() -> list[str]:
    """Return the addresses of `ADMINS`: strings, or pairs of name and address before Django 6.0."""
    given: Any = settings.ADMINS or ()
    addresses = (
        one if isinstance(one, str) else one[-1] for one in given if isinstance(one, (str, list, tuple)) and one
    )
    return [address for address in addresses if isinstance(address, str)]


class DjangoMailChannel:
    """Sends through the project's mail backend, which may be an API."""

    def __init__(self, sender: str, to: list[str]) -> None:
        self._sender = sender
        self._to = to

    @classmethod
    def of(cls, entry: Mapping[str, object]) -> DjangoMailChannel:
        """Return the channel of an entry; ValueError where it is wrong."""
        sender, to = entry["from"], entry["to"]
        for key in entry.keys() - {"type", "from", "to"}:
            raise ValueError(f"unknown key {key!r}: mail that is not sent by SMTP has 'to' and 'from'")
        if not isinstance(sender, str) or not sender:
            raise ValueError("'from' must be an address")
        if not isinstance(to, (list, tuple)) or not all(isinstance(address, str) and "@" in address for address in to):
            raise ValueError("'to' must be a list of addresses")
        return cls(sender, list(to))

    def __call__(self, notice: Mapping[str, Any]) -> dict[str, Any]:
        """Attempt to send a notice. One thread of incident: by its id, as the native channel does."""
        thread = f"<{notice['incident_id']}@lifesigns>"
        headers = {
            "Message-ID": f"<{notice['id']}@lifesigns>",
            "References": thread,
            "Auto-Submitted": "auto-generated",
        }
        message = EmailMessage(
            " ".join(notice["title"].split()), notice["text"], self._sender, self._to, headers=headers
        )
        try:
            message.send()
        except Exception as error:  # noqa: BLE001  # the client of an API raises what it likes
            return {"state": "failed", "answer": type(error).__name__}
        return {"state": "delivered", "answer": "Accepted by the mail backend"}
