"""The migration operation that takes over a table of the replaced application, with its rows, or creates it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.apps.registry import Apps
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import CreateModel
from django.db.migrations.state import ProjectState


class Adopted(models.Model):
    """A table that was there before: going back leaves it there, since somebody else made it.

    Like Django's own table of migrations it is no part of the app's models.
    """

    table = models.CharField(max_length=63, primary_key=True)

    objects: ClassVar[models.Manager[Adopted]] = models.Manager()

    class Meta:
        apps = Apps()
        app_label = "lifesigns"
        db_table = "lifesigns_adopted_table"


class AdoptOrCreateModel(CreateModel):
    """`CreateModel`, but a table that exists is kept and given the columns and indexes that it lacks."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if model._meta.db_table not in _tables(schema_editor):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        _complete(model, schema_editor)
        _remember(model._meta.db_table, schema_editor)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        table = from_state.apps.get_model(app_label, self.name)._meta.db_table
        if not _forget(table, schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return f"Adopt or create model {self.name}"


def _complete(model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Adds what the table lacks. What it has more of stays."""
    connection, table = schema_editor.connection, model._meta.db_table
    with connection.cursor() as cursor:
        columns = {column.name for column in connection.introspection.get_table_description(cursor, table)}
    for field in model._meta.local_concrete_fields:
        if field.column not in columns:
            schema_editor.add_field(model, field)
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, table).values()
    indexed: list[Any] = [(found["columns"], found.get("orders")) for found in constraints if found["index"]]
    for index in model._meta.indexes:
        fields = [(model._meta.get_field(name), order) for name, order in index.fields_orders]
        wanted = [getattr(field, "column", "") for field, _ in fields]
        # Some databases do not tell the order, nor need it: they read an index backwards.
        orders = [order or "ASC" for _, order in fields]
        if not any(has == wanted and order in (None, [], orders) for has, order in indexed):
            schema_editor.add_index(model, index)


def _tables(schema_editor: BaseDatabaseSchemaEditor) -> list[str]:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        return connection.introspection.table_names(cursor)


def _remember(table: str, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if Adopted._meta.db_table not in _tables(schema_editor):
        schema_editor.create_model(Adopted)
    if not schema_editor.collect_sql:  # sqlmigrate only shows what would be done
        Adopted.objects.using(schema_editor.connection.alias).create(table=table)


def _forget(table: str, schema_editor: BaseDatabaseSchemaEditor) -> bool:
    """Whether the table was adopted; with the last of them goes the table that says so."""
    if Adopted._meta.db_table not in _tables(schema_editor):
        return False
    adopted = Adopted.objects.using(schema_editor.connection.alias)
    found = adopted.filter(table=table)
    was_adopted = found.exists()
    if not schema_editor.collect_sql:
        found.delete()
        if not adopted.exists():
            schema_editor.delete_model(Adopted)
    return was_adopted
