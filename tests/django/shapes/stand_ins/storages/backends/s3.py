"""Amazon S3 and what speaks its protocol."""

from __future__ import annotations

from django.contrib.staticfiles.storage import ManifestFilesMixin

from ..base import BaseStorage


class S3Storage(BaseStorage):
    """Files in a bucket."""


class S3StaticStorage(S3Storage):
    """Static files in a bucket."""


class S3ManifestStaticStorage(ManifestFilesMixin, S3StaticStorage):  # type: ignore[misc]
    """Static files in a bucket, with a hash in their names."""
