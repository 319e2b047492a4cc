"""The project under test: the demo with all 22 checks, and one callable that misbehaves on request."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults import commands, migrations, names
from tests.faults.dependencies import Dependencies
from tests.faults.receivers import HangingReceivers

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "examples" / "demo"
TTL = 0.001
# Of what renews results by itself, as a project that alerts does.
ALERTING_TTL = 1.0
BREAKER_CHECKS = ("mqtt_broker", "aws_ses", "google_maps_api", "openai_api", "anthropic_api", "storage_uploads")


class Project:
    """Its dependencies are reached by name where that is possible, and `names` are wanted.

    With `alerts` the callable and the command alert receivers that hang.
    """

    def __init__(
        self,
        dependencies: Dependencies,
        *,
        timeout: float,
        breaker: Mapping[str, float],
        by_name: bool = False,
        alerts: bool = False,
    ) -> None:
        self.dependencies = dependencies
        self.receivers = HangingReceivers() if alerts else None
        self.timeout = timeout
        self.breaker = breaker
        self.directory = dependencies.stack.directory
        self.names = None
        if by_name and names.possible():
            addresses = {one.host_name: "127.0.0.1" for one in dependencies.by_name.values()}
            self.names = names.Names(self.directory, addresses)
        self.order, self.command_order = self.directory / "order", self.directory / "command-order"
        self.program = self.directory / "faults-command"
        self._settings = self.directory / "settings.json"

    def settings(self) -> dict[str, Any]:
        """Each check is run anew each time: nothing is fresh for longer than a millisecond, unless there are alerts."""
        ttl = TTL if self.receivers is None else ALERTING_TTL
        settings = self.dependencies.settings(names=self.names is not None)
        lifesigns = settings["LIFESIGNS"]
        checks: dict[str, Any] = lifesigns["CHECKS"]
        for name in ("database_connectivity", "database_performance", "mqtt_broker", "database_archive", "schema"):
            checks.setdefault(name, {})["timeout"] = self.timeout
        checks["schema"]["ttl"] = TTL
        for name in BREAKER_CHECKS:
            # Those of paid APIs are fresh for minutes by default.
            checks.setdefault(name, {}).update(breaker=self.breaker, ttl=ttl)
        checks["callable"] = {"check": "tests.faults.callables.check", "critical": False}
        argv = [str(self.program), str(self.command_order)]
        checks["command"] = {"kind": "command", "argv": argv, "critical": False}
        options: dict[str, Any] = {"DEFAULT_TIMEOUT": self.timeout, "DEFAULT_TTL": ttl, "SHOW_DETAILS": "always"}
        options["STORE_PATH"] = str(self.directory / "store")
        if self.receivers is not None:
            options["ALERTS"] = self.receivers.alerts(webhook="callable", mail="command")
        return {**settings, "LIFESIGNS": {**lifesigns, **options}}

    def command(self, *command: str) -> list[str]:
        """A command that runs in the project's world."""
        return list(command) if self.names is None else self.names.command(*command)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "demo.settings",
            "LIFESIGNS_DEMO_FULL": "1",
            "LIFESIGNS_DEMO_STACK": str(self._settings),
            "FAULTS_CALLABLE": str(self.order),
            "PYTHONPATH": os.pathsep.join([str(DEMO), str(ROOT)]),
            "PYTHONWARNINGS": "default",
        }

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            if self.names is not None:
                undo.enter_context(self.names)
            if self.receivers is not None:
                undo.enter_context(self.receivers)
            self.order.write_text("")
            self.command_order.write_text("")
            commands.write_program(self.program)
            self._settings.write_text(json.dumps(self.settings()))
            migrations.migrate(self)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._undo.close()
