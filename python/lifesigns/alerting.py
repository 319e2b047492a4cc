"""Alerts of an engine: incidents of its checks, and the channels that are notified of them."""

from __future__ import annotations

import uuid
import weakref
from functools import partial

from lifesigns import _core, callables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from lifesigns.callable_set import CallableSet

# Seconds that pending deliveries get when the process ends; other processes send what is left.
FLUSH_SECONDS = 2.0


class Alerting:
    """The incidents of an engine that was made with ``alerts``; all methods raise ValueError of one made without.

    They raise TimeoutError where the store is in use by another process for longer than a second.
    """

    _native: _core.Engine
    _callables: CallableSet
    _application: str | None
    _alerts: _core.Alerts | None = None

    def incidents(self, open_only: bool = False) -> list[dict[str, Any]]:
        """Return the incidents that are open, and those of the last 24 hours that no table has confirmed, oldest first.

        Each is a dict: ``id``, ``check``, ``dedup_key``, ``state`` (``firing``, ``acknowledged``, ``silenced``,
        ``flapping``, ``resolving``, ``resolved``), ``status``, ``severity``, ``since``, ``fired_at``, ``resolved_at``
        (seconds since 1970), ``message`` (the last error), ``ended``, ``blocked``, ``instances``, ``acknowledged_by``,
        ``acknowledged_at``, ``comment``, ``silenced``, ``flapping``, ``revision`` (grows with each change),
        ``timeline`` (``at``, ``kind``, ``text``) and ``deliveries`` (``channel``, ``number``, ``kind``, ``state``,
        ``attempts``, ``may_have_arrived``, ``last_attempt_at``, ``last_answer``, ``next_attempt_at``, ``reference``).
        """
        return self._with_alerts().incidents(open_only)

    def confirm_incidents(self, revisions: Mapping[str, int]) -> None:
        """Note which revisions of incidents, by their ids, a table has: what is over is kept no longer then."""
        self._with_alerts().confirm(dict(revisions))

    def restore_incidents(self, incidents: Iterable[Mapping[str, Any]]) -> None:
        """Continue incidents that `incidents` has returned before the machine was restarted; at start.

        Known ones are left as they are. An open one continues without a second trigger, unless its trigger was pending;
        of one that is over what is pending is sent. ``id``, ``check`` and ``since`` are required, the rest is optional.

        Raises:
            ValueError: one of them lacks a key, or has a value of another type.
        """
        self._with_alerts().restore([dict(incident) for incident in incidents])

    def acknowledge(self, check: str, author: str, comment: str = "") -> bool:
        """Acknowledge the open incident of a check, so that there are no more reminders; False if there is none.

        Args:
            check: its name, or ``readiness`` or ``wedged_worker``.

        Raises:
            UnknownCheckError: there is no such check.
        """
        return self._with_alerts().acknowledge(check, author, comment)

    def silence(
        self,
        matchers: Mapping[str, Any],
        start: float,
        end: float,
        author: str,
        comment: str = "",
        *,
        silence_id: str | None = None,
    ) -> str:
        """Send no trigger and no reminder of what matches from `start` to `end`; return the id of the silence.

        Args:
            matchers: ``check`` (names or patterns with ``*`` and ``?``), ``severity``, ``group``: a str or a list each.
                What is missing matches all.
            start: seconds since 1970, as `end`.
            silence_id: of the silence that this one replaces. None: a new one.

        Raises:
            ValueError: a matcher is wrong, the end is not after the start, or there are 200 silences.
        """
        silence_id = silence_id or str(uuid.uuid4())
        self._with_alerts().silence(silence_id, dict(matchers), start, end, author, comment)
        return silence_id

    def expire_silence(self, silence_id: str) -> bool:
        """End a silence now; False if there is none of that id, or it is over."""
        return self._with_alerts().expire_silence(silence_id)

    def silences(self) -> list[dict[str, Any]]:
        """Return the silences, also those that ended within the last day.

        Each is a dict: ``id``, ``matchers``, ``start``, ``end`` (seconds since 1970), ``author``, ``comment`` and
        ``active``.
        """
        return self._with_alerts().silences()

    def test_channel(self, name: str) -> dict[str, Any]:
        """Send a trigger and a resolve of a test incident to a channel, and return what came of it.

        Blocks for as long as two attempts may take. The dict has ``state`` (``delivered``, ``refused``, ``failed``),
        ``answer`` (one line for people), and what is beside them in an attempt: ``retry_after`` in seconds,
        ``may_have_arrived``, ``reference``.

        Raises:
            LookupError: there is no such channel.
        """
        self._callables.start_threads(())
        return self._with_alerts().test_channel(name)

    def retry_deliveries(self, incident_id: str) -> int:
        """Try again what was refused or given up of an incident, at once; return how many notices are pending then.

        Raises:
            LookupError: there is no such incident.
        """
        return self._with_alerts().retry(incident_id)

    def _with_alerts(self) -> _core.Alerts:
        if self._alerts is None:
            raise ValueError("This engine has no alerts: make it with Engine(alerts={...})")
        return self._alerts

    def _start_alerts(self, alerts: Mapping[str, Any]) -> None:
        """Alert by these settings from the first run on."""
        from lifesigns.identity import default_application

        settings, functions = _split(alerts)
        application = settings.pop("APPLICATION", None) or self._application or default_application()
        ids = {name: _core.new_callable_id() for name in functions}
        self._alerts = _core.Alerts(self._native, application, settings, ids)
        _hide_secrets(settings)
        for name, callable_id in ids.items():
            callables.remember(callable_id, partial(_deliver, callable_id, functions[name]), "")
        if ids:
            self._callables.add_background(ids)
            weakref.finalize(self, callables.forget, list(ids.values())).atexit = False
        _flush_at_exit(self)


def _split(alerts: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Callable[[dict[str, Any]], Any]]]:
    """Return the settings without callables, and the callables of channels by name."""
    settings = dict(alerts)
    channels, functions = settings.get("CHANNELS"), {}
    if isinstance(channels, dict):
        settings["CHANNELS"] = channels = dict(channels)
        for name, channel in channels.items():
            if isinstance(channel, dict) and channel.get("type") == "python":
                function = channel.get("callable")
                if not callable(function):
                    raise ValueError(f"alerts: CHANNELS.{name}.callable must be a callable that takes a notice")
                if unknown := sorted(channel.keys() - {"type", "callable"}):
                    raise ValueError(f"alerts: CHANNELS.{name} has unknown fields: {', '.join(map(str, unknown))}")
                functions[name] = function
                channels[name] = {"type": "python"}
            elif isinstance(channel, dict) and channel.get("type") == "apprise":
                functions[name] = _apprise(name, channel)
                channels[name] = {"type": "python"}
    return settings, functions


def _apprise(name: str, channel: Mapping[str, Any]) -> Callable[[dict[str, Any]], Any]:
    from lifesigns.apprise_channel import AppriseChannel

    try:
        return AppriseChannel(channel)
    except ValueError as error:
        joint = "" if str(error).startswith(".") else " "
        raise ValueError(f"alerts: CHANNELS.{name}{joint}{error}") from error


def _hide_secrets(settings: Mapping[str, Any]) -> None:
    """Keep the secrets of channels out of what callables return."""
    from lifesigns.redaction import hide, secrets_in

    for channel in settings.get("CHANNELS", {}).values():
        hide(secrets_in(channel))


def _deliver(callable_id: int, function: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """Call the function of a channel with the notice that is due, and return what came of it as a result."""
    notice = _core.notice_for(callable_id)
    returned = None if notice is None else function(notice)
    if returned is None or returned is True:
        attempt: dict[str, Any] = {"state": "delivered", "answer": "delivered"}
    elif returned is False:
        attempt = {"state": "failed", "answer": "the channel returned False"}
    elif isinstance(returned, dict) and returned.get("state") in ("delivered", "refused", "failed"):
        attempt = returned
    else:
        attempt = {"state": "failed", "answer": f"the channel returned {type(returned).__name__}, which says nothing"}
    details = {key: value for key, value in attempt.items() if key != "answer" and value is not None}
    return {"status": "healthy", "message": str(attempt.get("answer", "")), "details": details}


def _flush_at_exit(engine: Alerting) -> None:
    """Send what is due before the process ends."""
    import atexit

    reference = weakref.ref(engine)

    def flush() -> None:
        engine = reference()
        if engine is not None and engine._alerts is not None:
            engine._alerts.flush(FLUSH_SECONDS)

    atexit.register(flush)
    weakref.finalize(engine, atexit.unregister, flush).atexit = False
