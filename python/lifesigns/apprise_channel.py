"""A channel of alerts for services that have none of their own, by `apprise` (the extra ``lifesigns[apprise]``)."""

from __future__ import annotations

import logging

from lifesigns.redaction import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# What `apprise` calls each kind of notice.
KINDS = {"triggered": "failure", "reminded": "failure", "acknowledged": "info", "resolved": "success"}
FIELDS = {"type", "url"}
# What apprise and its HTTP client write about a notice, each URL with the tokens in its path.
LOGGERS = ("apprise", "urllib3.connectionpool")


class AppriseChannel:
    """Sends notices to a URL of `apprise`, which says of an attempt only whether it has failed.

    Args:
        channel: its entry in ``CHANNELS``: ``{"type": "apprise", "url": "ntfy://topic"}``.

    Raises:
        ValueError: the entry is wrong, or `apprise` is not installed.
    """

    def __init__(self, channel: Mapping[str, Any]) -> None:
        if unknown := sorted(map(str, channel.keys() - FIELDS)):
            raise ValueError(f"has unknown fields: {', '.join(unknown)}; known is: url")
        for name in LOGGERS:
            logging.getLogger(name).addFilter(without_secrets)
        url = channel.get("url")
        if not isinstance(url, str) or not _is_known(url):
            raise ValueError(".url must be a URL that apprise knows, such as 'ntfy://topic'")
        # No repr shows it: it holds passwords and tokens.
        self._url = url

    def __call__(self, notice: Mapping[str, Any]) -> dict[str, Any]:
        """Attempt to send a notice, and return the result."""
        from apprise import Apprise

        service = Apprise()
        service.add(self._url)
        try:
            is_sent = service.notify(title=notice["title"], body=notice["text"], notify_type=KINDS[notice["kind"]])
        except Exception as error:  # noqa: BLE001  # a plugin raises what it likes
            return {"state": "failed", "answer": type(error).__name__}
        if is_sent:
            return {"state": "delivered", "answer": "Accepted by apprise"}
        return {"state": "failed", "answer": "apprise could not send it"}


def without_secrets(record: logging.LogRecord) -> bool:
    """Take what is hidden out of a record, as a filter of a logger; it is logged all the same."""
    text = record.getMessage()
    clean = redact(text)
    if clean != text:
        record.msg, record.args = clean, ()
    return True


def _is_known(url: str) -> bool:
    """Return whether `apprise` knows the service. The first time it imports more than a hundred modules."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they warn of is not the application's
        try:
            from apprise import Apprise
        except ImportError as error:
            raise ValueError("needs apprise: pip install 'lifesigns[apprise]'") from error
        return Apprise.instantiate(url) is not None
