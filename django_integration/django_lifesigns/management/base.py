"""What the commands have in common: colours by Django's options, and one line where the database is down."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, connections, router
from django.db.models import Model
from django.utils.translation import gettext as _

from django_lifesigns.checks.connections import returning_connections
from django_lifesigns.models import HealthCheckLog, Rollup
from django_lifesigns.settings.problems import did_you_mean
from lifesigns import Job, JobError

# A server that is stopped accepts connections and never answers: Django itself would wait for ever.
CONNECT_SECONDS = 10.0


class HealthCommand(BaseCommand):
    """A command whose failures are one line and exit code 2."""

    help: Any = ""  # lazy, where `BaseCommand` has a plain text
    # A wrong setting is one of the results; it must not keep a command from showing the others.
    requires_system_checks: list[str] = []  # noqa: RUF012  # BaseCommand's type
    # Whose table it reads.
    model: type[Model] = HealthCheckLog
    # Of the tables that it shows: which column is the state, and in what style each state is.
    state_column = 0
    state_styles: Mapping[str, str] = MappingProxyType({})

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Make the parser, with the help in the language of now: argparse takes no lazy text."""
        self.help = str(self.help)
        return super().create_parser(prog_name, subcommand, **kwargs)

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run the command as Django does, with `NO_COLOR` (https://no-color.org) beside its own options."""
        if not options["force_color"] and (os.environ.get("NO_COLOR") or not _is_terminal(options.get("stdout"))):
            options["no_color"] = True
        try:
            output = super().execute(*args, **options)
            self.stdout.flush()
        except (Error, ImproperlyConfigured) as error:
            raise CommandError(_why(error, self.model), returncode=2) from error
        except BrokenPipeError:
            # The reader has closed the pipe, as `head` does. At exit Python would flush into it once more.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        return output

    def _paint(self, row: int, column: int, cell: str) -> str:
        """Return a cell of a table in the colour of its state; the header in one of its own."""
        states = self.state_styles if column == self.state_column else {}
        style = "MIGRATE_LABEL" if row == 0 else states.get(cell.strip())
        painted: str = getattr(self.style, style)(cell) if style else cell
        return painted


def require_history(model: type[Model] = HealthCheckLog, within: float = CONNECT_SECONDS) -> None:
    """Raise CommandError unless the database of a table answers within so many seconds."""
    alias = router.db_for_read(model)
    try:
        Job(returning_connections(lambda: connections[alias].ensure_connection()), timeout=within).run()
    except (TimeoutError, JobError) as error:
        text = _("The database of the history does not answer. See `manage.py health_check`.")
        raise CommandError(text, returncode=2) from error


def unknown_checks(names: Iterable[str], known: Iterable[str]) -> None:
    """Raise CommandError, with the nearest right names, if any of these is not known."""
    known = list(known)
    if wrong := [name for name in names if name not in known]:
        lines = (f"{_('Unknown check %(name)r.') % {'name': name}} {did_you_mean(name, known)}" for name in wrong)
        raise CommandError(" ".join(lines), returncode=2)


def _is_terminal(out: Any) -> bool:
    out = sys.stdout if out is None else out
    return bool(hasattr(out, "isatty") and out.isatty())


def _why(error: Exception, model: type[Model]) -> str:
    """Say in one line what to do. The error's own text, which may name anything, is shown by `--traceback`."""
    names = {"error": type(error).__name__}
    with suppress(Error, ImproperlyConfigured):
        for read in (model, Rollup):
            connection = connections[router.db_for_read(read)]
            names["table"] = read._meta.db_table
            if names["table"] not in connection.introspection.table_names():
                return _("The table %(table)s is missing (%(error)s). Run `manage.py migrate`.") % names
        return _("The database of the history refuses (%(error)s). See `manage.py health_check`.") % names
    return _("The database of the history cannot be reached (%(error)s). See `manage.py health_check`.") % names
