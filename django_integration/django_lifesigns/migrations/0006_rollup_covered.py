"""Adds what is covered to roll-ups, each second once however many hosts have counted it, and an index of bad ones."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import migrations, models
from django.db.migrations.operations.base import Operation
from django.db.models import F, Value
from django.db.models.functions import Least

from django_lifesigns.history.adoption import AddMissingField, has_table

LENGTHS = {"minute": 60.0, "hour": 3_600.0, "day": 86_400.0}


def fill(apps: Any, schema_editor: Any) -> None:
    """Take rows that are there as those of one host, as far as their time is long enough."""
    model = apps.get_model("lifesigns", "Rollup")
    if not has_table(model, schema_editor):
        return
    rows = model.objects.using(schema_editor.connection.alias)
    counted = F("healthy") + F("degraded") + F("error") + F("blocked") + F("maintenance")
    for period, length in LENGTHS.items():
        rows.filter(period=period).update(covered=Least(counted, Value(length)))


# Of the few rows in which anything was bad, planned or blocked; not of those in which nothing was healthy, too: each
# write changes `healthy`, and would have to change all indexes then.
# No index of the model's: MySQL has none with a condition, and would warn.
INDEX = "lifesigns_rollup_bad_idx"


def index(apps: Any, schema_editor: Any) -> None:
    """Make the index, where there are such, and there is anything to gain by it."""
    model = apps.get_model("lifesigns", "Rollup")
    if schema_editor.connection.vendor == "postgresql" and has_table(model, schema_editor):
        schema_editor.execute(
            f"CREATE INDEX IF NOT EXISTS {INDEX} ON {schema_editor.quote_name(model._meta.db_table)} (period, start)"
            " WHERE error > 0 OR degraded > 0 OR maintenance > 0 OR blocked > 0"
        )


def remove_index(apps: Any, schema_editor: Any) -> None:
    """Remove it."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX IF EXISTS {INDEX}")


class Migration(migrations.Migration):
    dependencies: ClassVar[list[tuple[str, str]]] = [("lifesigns", "0005_actions")]

    operations: ClassVar[list[Operation]] = [
        AddMissingField(
            model_name="rollup",
            name="covered",
            field=models.FloatField(verbose_name="seconds covered", default=0.0),
        ),
        migrations.RunPython(index, remove_index, hints={"model_name": "rollup"}),
        migrations.RunPython(fill, migrations.RunPython.noop, hints={"model_name": "rollup"}),
    ]
