"""The pages of the kinds of checks: every option is on the page of its kind, every example is taken as it stands."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from django_lifesigns.checks.migrations import MigrationsApplied
from django_lifesigns.checks.storage import StorageCheck
from django_lifesigns.runtime.engine import get_engine
from lifesigns import specs

# Django's own system checks of models query the database.
pytestmark = pytest.mark.django_db(transaction=True)

FOLDER = Path(__file__).parents[2] / "docs" / "checks"
KINDS: dict[str, Any] = {
    "http": specs.Http,
    "dns": specs.Dns,
    "tls_certificate": specs.TlsCertificate,
    "amqp": specs.Amqp,
    "grpc": specs.Grpc,
    "command": specs.Command,
    "tcp": specs.Tcp,
    "heartbeat": specs.Heartbeat,
    "storage": StorageCheck,
    "migrations": MigrationsApplied,
}
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
EXAMPLES = [
    pytest.param(example, id=f"{name}-{number}")
    for name in (*KINDS, "urls", "index")
    for number, example in enumerate(EXAMPLE.findall((FOLDER / f"{name}.md").read_text()))
]


@pytest.mark.parametrize("kind", KINDS)
def test_page_names_every_option_and_is_listed(kind: str) -> None:
    assert f"[`{kind}`]({kind}.md)" in (FOLDER / "index.md").read_text()
    page = (FOLDER / f"{kind}.md").read_text()
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", page, re.M)
    documented = set(re.findall(r"\w+", " ".join(rows)))
    assert {field.name for field in dataclasses.fields(KINDS[kind])} <= documented


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_is_taken_as_it_stands(settings: Any, example: str) -> None:
    names: dict[str, Any] = {}
    exec(example, names)
    if "LIFESIGNS" in names:
        settings.LIFESIGNS = names["LIFESIGNS"]
        assert run_checks() == []
        assert names["LIFESIGNS"]["CHECKS"].keys() <= set(get_engine().names)
