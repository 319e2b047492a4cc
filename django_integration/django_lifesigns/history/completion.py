"""Gives a table of the replaced application what it lacks. What it has more of stays."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from django_lifesigns.history.announcements import announce, announce_thresholds
from django_lifesigns.history.duplicates import merge_duplicates
from django_lifesigns.history.primary_key import add_primary_key

# What rows that are there get in a column that must have a value and has no default.
TEXT, NUMBER = "", 0


def complete(model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, *, is_adopted: bool) -> None:
    """Add columns, unique constraints and indexes that the table lacks, and say what there is to know about it."""
    table, connection = model._meta.db_table, schema_editor.connection
    with connection.cursor() as cursor:
        columns = {column.name: column for column in connection.introspection.get_table_description(cursor, table)}
    for field in model._meta.local_concrete_fields:
        if field.column not in columns:
            add = add_primary_key if field.primary_key else _add_column
            add(model, field, schema_editor)
    _add_unique_constraints(model, schema_editor)
    _add_indexes(model, schema_editor)
    fields = {field.column: field for field in model._meta.local_concrete_fields}
    for name, column in columns.items():
        is_ours_and_filled = name in fields and not fields[name].null
        if not (column.null_ok or column.default is not None or is_ours_and_filled):
            announce(
                connection.alias, f"{table}: the column {name} needs a default, or no row can be added to the table."
            )
    if is_adopted and not schema_editor.collect_sql:
        announce_thresholds(model, connection.alias)


def _add_column(model: type[models.Model], field: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    column = field.clone()
    # Indexes and constraints come once every column is there.
    column._unique = column.db_index = False
    if not (column.null or column.has_default() or column.blank or getattr(column, "auto_now", False)):
        column.default = TEXT if column.empty_strings_allowed else NUMBER
    column.set_attributes_from_name(field.name)
    column.model = model
    if schema_editor.connection.vendor != "sqlite":
        schema_editor.add_field(model, column)
        return
    # Django would make the table anew from the model, without the columns that are not ours.
    quote = schema_editor.quote_name
    definition, parameters = schema_editor.column_sql(model, column, include_default=True)
    check = column.db_parameters(schema_editor.connection)["check"]
    schema_editor.execute(
        f"ALTER TABLE {quote(model._meta.db_table)} ADD COLUMN {quote(column.column)} {definition}"
        + (f" CHECK ({check})" if check else ""),
        parameters or None,
    )


def _add_unique_constraints(model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:
    meta: Any = model._meta
    single = [[field] for field in meta.local_concrete_fields if field.unique and not field.primary_key]
    together = [[meta.get_field(name) for name in names] for names in meta.unique_together]
    editor: Any = schema_editor
    for fields in [*single, *together]:
        wanted = {field.column for field in fields}
        if any(found["unique"] and set(found["columns"]) == wanted for found in _constraints(model, schema_editor)):
            continue
        if not schema_editor.collect_sql:
            merge_duplicates(model, [field.name for field in fields], schema_editor.connection.alias)
        editor.execute(editor._create_unique_sql(model, fields))


def _add_indexes(model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> None:
    meta: Any = model._meta
    indexes = list(meta.indexes)
    for field in meta.local_concrete_fields:
        if field.db_index and not field.unique:
            index = models.Index(fields=[field.name])
            index.set_name_with_model(model)
            indexes.append(index)
    constraints = _constraints(model, schema_editor)
    indexed = [(found["columns"], found.get("orders")) for found in constraints if found["index"]]
    names = {found["name"] for found in constraints}
    for index in indexes:
        wanted = [meta.get_field(name).column for name, _ in index.fields_orders]
        # Some databases do not report the order, nor need it: they read an index backwards.
        orders = [order or "ASC" for _, order in index.fields_orders]
        if any(has == wanted and order in (None, [], orders) for has, order in indexed):
            continue
        if index.name in names:  # of an index on other columns
            index = index.clone()
            index.name = f"{index.name[:26]}_new"
        schema_editor.add_index(model, index)


def _constraints(model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> list[dict[str, Any]]:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)
    return [{"name": name, **constraint} for name, constraint in found.items()]
