"""Keeps probes that succeed out of application performance monitoring, by the switch that an agent offers.

Elastic APM and OpenTelemetry have none for a request under way: see their TRANSACTION_IGNORE_URLS and
OTEL_PYTHON_DJANGO_EXCLUDED_URLS.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any


def ignore() -> None:
    """Have every agent that is loaded in this process drop the current request."""
    for name, switch in SWITCHES.items():
        agent = sys.modules.get(name)
        if agent is not None:
            switch(agent)


def _sentry(agent: Any) -> None:
    transaction = agent.get_current_scope().transaction
    if transaction is not None:
        transaction.sampled = False


def _datadog(agent: Any) -> None:
    span = agent.tracer.current_root_span()
    if span is not None:
        span.set_tag("manual.drop")


SWITCHES: Mapping[str, Callable[[Any], None]] = {
    "newrelic.agent": lambda agent: agent.ignore_transaction(),
    "scout_apm.api": lambda agent: agent.ignore_transaction(),
    "sentry_sdk": _sentry,
    "ddtrace.trace": _datadog,
}
