"""The migration operation that takes over a table of the replaced application, with its rows, or creates it.

A table is dropped by `migrate lifesigns zero` only if this operation created it: that is remembered in a table of its
own, so that what is not remembered, for whatever reason, stays.
"""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar

from django.apps.registry import Apps
from django.db import OperationalError, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddField, CreateModel
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from django_lifesigns.checks.write_locks import take_write_lock
from django_lifesigns.history.completion import complete


class CreatedTable(models.Model):
    """A table that the migration created. Like Django's own table of migrations it is no part of the app's models."""

    table = models.CharField(max_length=63, primary_key=True)

    objects: ClassVar[models.Manager[CreatedTable]] = models.Manager()

    class Meta:
        apps = Apps()
        app_label = "lifesigns"
        db_table = "lifesigns_created_table"


class AdoptOrCreateModel(CreateModel):
    """`CreateModel`, but a table that exists is kept and given the columns, constraints and indexes that it lacks."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        _wait_for_writers(schema_editor)
        model = to_state.apps.get_model(app_label, self.name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table = model._meta.db_table
        if has_table(model, schema_editor):
            complete(model, schema_editor, is_adopted=not _is_created(table, schema_editor))
            return
        super().database_forwards(app_label, schema_editor, from_state, to_state)
        _remember(table, schema_editor)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        _wait_for_writers(schema_editor)
        model = from_state.apps.get_model(app_label, self.name)
        table = model._meta.db_table
        if self.allow_migrate_model(schema_editor.connection.alias, model) and _is_created(table, schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            _forget(table, schema_editor)

    def describe(self) -> str:
        return f"Adopt or create model {self.name}"


class AddMissingField(AddField):
    """`AddField`, but a column that exists is kept, and a table that does not, as a router may have it, is none."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if self._is_there(to_state.apps.get_model(app_label, self.model_name), schema_editor) is False:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if self._is_there(from_state.apps.get_model(app_label, self.model_name), schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    def _is_there(self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> bool | None:
        """Return whether the column is; None without the table, which `sqlmigrate` is about to make."""
        _wait_for_writers(schema_editor)
        table, connection = model._meta.db_table, schema_editor.connection
        if not has_table(model, schema_editor):
            return False if schema_editor.collect_sql else None
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(cursor, table)
        return any(column.name == self.name for column in columns)


def _wait_for_writers(schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Wait for who else writes to a database whose transactions cannot do so once they have read: the application."""
    if schema_editor.collect_sql:
        return
    with suppress(OperationalError):  # outside of `migrate` there may be no such table
        take_write_lock(schema_editor.connection, MigrationRecorder.Migration)


def has_table(model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> bool:
    """Return whether the table of a model is there."""
    return model._meta.db_table in _tables(schema_editor)


def _tables(schema_editor: BaseDatabaseSchemaEditor) -> list[str]:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        return connection.introspection.table_names(cursor)


def _is_created(table: str, schema_editor: BaseDatabaseSchemaEditor) -> bool:
    if CreatedTable._meta.db_table not in _tables(schema_editor) or not _is_in_own_schema(schema_editor):
        return False
    return CreatedTable.objects.using(schema_editor.connection.alias).filter(table=table).exists()


def _is_in_own_schema(schema_editor: BaseDatabaseSchemaEditor) -> bool:
    """Whether the list is in the schema where tables are created, not in another one of the search path.

    A tenant's schema sees the tables of the shared one, and must not drop them.
    """
    if schema_editor.connection.vendor != "postgresql":
        return True
    sql = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = %s"
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(sql, [CreatedTable._meta.db_table])
        return bool(cursor.fetchone()[0])


def _remember(table: str, schema_editor: BaseDatabaseSchemaEditor) -> None:
    name = CreatedTable._meta.db_table
    # `sqlmigrate` only shows what would be done, once.
    is_shown = schema_editor.collect_sql and any(name in sql for sql in schema_editor.collected_sql)
    if not is_shown and name not in _tables(schema_editor):
        schema_editor.create_model(CreatedTable)
    elif not schema_editor.collect_sql and _is_created(table, schema_editor):
        return  # of an earlier table, which was dropped by hand
    quote = schema_editor.quote_name
    schema_editor.execute(f"INSERT INTO {quote(name)} ({quote('table')}) VALUES (%s)", [table])


def _forget(table: str, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Forget a table; with the last of them goes the table that says so."""
    quote, name = schema_editor.quote_name, CreatedTable._meta.db_table
    schema_editor.execute(f"DELETE FROM {quote(name)} WHERE {quote('table')} = %s", [table])
    if not CreatedTable.objects.using(schema_editor.connection.alias).exclude(table=table).exists():
        schema_editor.delete_model(CreatedTable)
