"""`manage.py health_objectives`: what is left of the error budgets, and the objectives for other programs."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from django_lifesigns.history.objectives import openslo, prometheus
from django_lifesigns.history.objectives.current import states, targets
from django_lifesigns.history.objectives.formats import json_, text
from django_lifesigns.management.base import HealthCommand, require_history
from django_lifesigns.runtime.engine import get_runtime

SHOWN = {"text": text, "json": json_}
EXPORTED = {"openslo": openslo.documents, "prometheus-rules": prometheus.rules}


class Command(HealthCommand):
    """Reads only. The exports need no database."""

    help = lazy("Show the objectives of health checks and their error budgets, or export them.")

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the format."""
        parser.add_argument("--format", choices=[*SHOWN, *EXPORTED], default="text", dest="output")

    def handle(self, *, output: str, **_options: Any) -> None:
        """Write the objectives in that format."""
        runtime = get_runtime()  # which finds the targets
        if output in EXPORTED:
            found = targets()
            if not found:
                raise CommandError(_("LIFESIGNS['OBJECTIVES'] names no check of this project."), returncode=2)
            self.stdout.write(EXPORTED[output](runtime.alerts_as, found), ending="")
            return
        require_history()
        self.stdout.write(SHOWN[output](states()), ending="")
