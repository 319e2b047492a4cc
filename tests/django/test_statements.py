"""Statements of the history: what is a literal, and that each text comes back as it was from each database."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from django_lifesigns.history.statements import Values
from tests.django.conftest import NewDatabase
from tests.django.projects import run_json

AT = datetime(2026, 11, 30, 12, 0, 0, 1, tzinfo=timezone.utc)
NO_LITERALS = ["it's", "a\\b", "100%", "%s", "?", "`", "$1", "a\nb", "a\x00b", "a\tb", "\u00fc", float("inf"), True]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "NULL"),
        (-3, "-3"),
        (1e-05, "1e-05"),
        ("", "''"),
        ("Connected, 3 ms", "'Connected, 3 ms'"),
        ('{"a": [1, "b"]}', """'{"a": [1, "b"]}'"""),
        (AT, "'2026-11-30 12:00:00.000001+00:00'"),
        (UUID(int=1), "'00000000-0000-0000-0000-000000000001'"),
    ],
)
def test_value__is_a_literal_where_it_is_plain(value: object, expected: str) -> None:
    values = Values()
    assert (values.row(value), values.parameters) == (f"({expected})", [])


@pytest.mark.parametrize("value", NO_LITERALS)
def test_value__is_a_parameter_where_it_may_mean_something_else(value: object) -> None:
    values = Values()
    assert (values.row(1, value), values.parameters) == ("(1, %s)", [value])


PROGRAM = r"""
import json
from django.core.management import call_command
from django_lifesigns.history import recorder
from django_lifesigns.models import HealthCheckLog, ServiceAvailability
from tests.django.recording import report

call_command("migrate", verbosity=0)
texts = ["plain", "it's", "'); DROP TABLE x; --", "a\\", "a\\'b", "100%", "%s %(a)s", "?", '"', "two\nlines", "\u2713"]
for text in texts:
    sweep = report(0, 0)
    sweep["checks"] = {text: {**sweep["checks"]["good"], "message": text, "details": {text: [text, 1.5, None]}}}
    assert recorder.record(sweep, wait=20)
rows = [[row.check_name, row.message, row.details] for row in HealthCheckLog.objects.order_by("checked_at")]
counted = set(ServiceAvailability.objects.values_list("service_name", flat=True))
print(json.dumps({
    "are_the_same": rows == [[text, text, {text: [text, 1.5, None]}] for text in texts],
    "are_counted": counted == set(texts),
}))
"""


def test_texts_come_back_as_they_were(new_database: NewDatabase, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"DATABASES": {"default": new_database()}}
    assert run_json(tmp_path, settings, PROGRAM) == {"are_the_same": True, "are_counted": True}
