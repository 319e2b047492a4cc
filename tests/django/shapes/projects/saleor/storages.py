"""Uploads in a bucket."""

from __future__ import annotations

from typing import Any

from storages.backends.s3boto3 import S3Boto3Storage


class S3MediaStorage(S3Boto3Storage):  # type: ignore[misc]  # a stand-in, found by its path
    """With a domain of its own."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"bucket_name": "media", **settings})
