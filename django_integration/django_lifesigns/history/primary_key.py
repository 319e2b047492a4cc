"""Gives a table of the replaced application the primary key that it lacks."""

from __future__ import annotations

import re
from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# A statement of SQLite's own list of tables up to the first column.
BEFORE_COLUMNS = re.compile(r"""CREATE TABLE\s+(?:"[^"]*"|`[^`]*`|\[[^\]]*\]|\w+)\s*\(""", re.IGNORECASE)
# What makes another column the primary key.
OTHER_KEY = re.compile(r"\bPRIMARY\s+KEY(\s+(ASC|DESC))?(\s+AUTOINCREMENT)?", re.IGNORECASE)
WITHOUT_ROWID = re.compile(r",?\s*\bWITHOUT\s+ROWID\s*$", re.IGNORECASE)


def add_primary_key(model: type[models.Model], field: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Add the key with a number for each row; what is the primary key already stays a unique one."""
    if schema_editor.connection.vendor == "sqlite":
        _remake(model, field, schema_editor)
    elif not _has_primary_key(model, schema_editor):
        schema_editor.add_field(model, field)
    else:
        table = schema_editor.quote_name(model._meta.db_table)
        column = _column(model, field, schema_editor).replace("PRIMARY KEY", "UNIQUE")
        schema_editor.execute(f"ALTER TABLE {table} ADD COLUMN {column}", None)


def _column(model: type[models.Model], field: Any, schema_editor: BaseDatabaseSchemaEditor) -> str:
    """Return the definition of the column; its suffix is what numbers the rows."""
    definition, _ = schema_editor.column_sql(model, field)
    suffix = field.db_type_suffix(connection=schema_editor.connection) or ""
    return f"{schema_editor.quote_name(field.column)} {definition} {suffix}"


def _has_primary_key(model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor) -> bool:
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        return connection.introspection.get_primary_key_column(cursor, model._meta.db_table) is not None


def _remake(model: type[models.Model], field: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Make the table anew, since SQLite adds no primary key; with its columns, rows, indexes and triggers.

    Django would make it from the model, without the columns that are not ours.
    """
    table, quote = model._meta.db_table, schema_editor.quote_name
    new = f"new__{table}"
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE tbl_name = %s ORDER BY type <> 'table'", [table])
        made, *others = [sql for (sql,) in cursor.fetchall() if sql]
        cursor.execute(f"PRAGMA table_info({quote(table)})")
        columns = ", ".join(quote(name) for _, name, *_ in cursor.fetchall())
    columns_made = WITHOUT_ROWID.sub("", OTHER_KEY.sub("UNIQUE", BEFORE_COLUMNS.sub("", made, count=1)))
    statements = [
        f"CREATE TABLE {quote(new)} ({_column(model, field, schema_editor)}, {columns_made}",
        f"INSERT INTO {quote(new)} ({columns}) SELECT {columns} FROM {quote(table)}",  # quoted names
        f"DROP TABLE {quote(table)}",
        f"ALTER TABLE {quote(new)} RENAME TO {quote(table)}",
        *others,
    ]
    for statement in statements:
        schema_editor.execute(statement, None)
