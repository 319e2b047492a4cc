"""Specifications of checks of what only Django reaches, beside those of `lifesigns.specs`.

Each is a callable: for `Engine.register`, for `lifesigns.check` in a module `health`, and for `LIFESIGNS["CHECKS"]`.
"""

from django_lifesigns.checks.migrations import MigrationsApplied as Migrations
from django_lifesigns.checks.storage import StorageCheck as Storage

__all__ = ["Migrations", "Storage"]
