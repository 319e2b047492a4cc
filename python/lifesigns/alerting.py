"""Alerts of an engine: incidents of its checks, and the channels that are notified of them."""

from __future__ import annotations

import uuid
import weakref
from functools import partial

from lifesigns import _core, callables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from lifesigns.callable_set import CallableSet
    from lifesigns.channel_trial import ChannelTrial

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
    _trial: ChannelTrial

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

    def decides_incidents(self) -> bool:
        """Return whether this host decides about incidents and sends them: False where another of its fleet does."""
        return self._with_alerts().is_holder()

    def confirm_incidents(self, revisions: Mapping[str, int]) -> None:
        """Note which revisions of incidents, by their ids, a table has: what is over is kept no longer then."""
        self._with_alerts().confirm(dict(revisions))

    def restore_incidents(self, incidents: Iterable[Mapping[str, Any]], *, retry: bool = False) -> None:
        """Continue incidents that `incidents` has returned before the machine was restarted; at start.

        Known ones are left as they are. An open one continues without a second trigger, unless its trigger was pending;
        of one that is over what is pending is sent. ``id``, ``check`` and ``since`` are required, the rest is optional.

        Args:
            retry: try again what was refused or given up of them, too, as `retry_deliveries` does.

        Raises:
            ValueError: one of them lacks a key, or has a value of another type.
        """
        self._with_alerts().restore([dict(incident) for incident in incidents], retry)

    def acknowledge(self, check: str, author: str, comment: str = "") -> bool:
        """Acknowledge the open incident of a check, so that there are no more reminders; False if there is none.

        Args:
            check: its name, or ``readiness`` or ``wedged_worker``.

        Raises:
            UnknownCheckError: there is neither such a check nor an open incident of one.
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
            ValueError: a matcher is wrong, the end is not after the start, or there is no room: there is for 200
                silences, and for 100 KiB.
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
        """Send a trigger and a resolve of a test incident to a channel, and return the result.

        Blocks for as long as two attempts may take. The dict has ``state`` (``delivered``, ``refused``, ``failed``),
        ``answer`` (one line for people), and what is beside them in an attempt: ``retry_after`` in seconds,
        ``may_have_arrived``, ``reference``. Where the trigger is not delivered the resolve is not sent.

        Raises:
            LookupError: there is no such channel.
        """
        alerts = self._with_alerts()
        self._callables.start_threads(())
        triggered, resolved = self._trial.notices()
        attempt = alerts.attempt(name, triggered)
        return alerts.attempt(name, resolved, attempt["reference"]) if attempt["state"] == "delivered" else attempt

    def retry_deliveries(self, incident_id: str) -> int:
        """Try again what was refused or given up of an incident, at once; return how many notices are pending then.

        Of an incident that a later one of the same check has followed nothing is: its resolve would end that one, which
        has the same key.

        Raises:
            LookupError: there is no such incident.
        """
        return self._with_alerts().retry(incident_id)

    def trigger_again(self, incident_id: str, after: int = 0) -> None:
        """Send another trigger of an open incident that a receiver was wrongly told to be over, if it still fails.

        Args:
            after: the number of the last of the deliveries of those that have said so: a notice of a number that was
                sent before is one that the receiver has had.

        Raises:
            LookupError: there is no such open incident.
        """
        self._with_alerts().trigger_again(incident_id, after)

    def _with_alerts(self) -> _core.Alerts:
        if self._alerts is None:
            raise ValueError("This engine has no alerts: make it with Engine(alerts={...})")
        return self._alerts

    def _start_alerts(self, alerts: Mapping[str, Any]) -> None:
        """Alert by these settings from the first run on."""
        from lifesigns import alert_settings
        from lifesigns.callable_channel import deliver
        from lifesigns.channel_trial import ChannelTrial
        from lifesigns.identity import default_application
        from lifesigns.redaction import hide

        # Before anything reads them: apprise logs the URL that it loads.
        hide(alert_settings.secrets_of(alerts))
        settings, functions = alert_settings.split(alerts)
        application = self._application or default_application()
        ids = {name: _core.new_callable_id() for name in functions}
        self._alerts = _core.Alerts(self._native, application, settings, ids)
        self._trial = ChannelTrial(settings.get("APPLICATION") or application, settings.get("URL"))
        for name, callable_id in ids.items():
            callables.remember(callable_id, partial(deliver, callable_id, functions[name]), "")
        if ids:
            self._callables.add_background(ids)
            weakref.finalize(self, callables.forget, list(ids.values())).atexit = False
        _flush_at_exit(self)


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
