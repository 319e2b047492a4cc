"""Static files with a hash in their names, compressed."""

from __future__ import annotations

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class CompressedManifestStaticFilesStorage(ManifestStaticFilesStorage):
    """In STATIC_ROOT."""
