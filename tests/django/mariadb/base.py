"""Where Django looks for the engine."""

from __future__ import annotations

import pymysql

pymysql.install_as_MySQLdb()

from django.db.backends.mysql.base import DatabaseWrapper  # noqa: E402

__all__ = ["DatabaseWrapper"]
