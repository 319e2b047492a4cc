"""The names of earlier releases."""

from __future__ import annotations

from .s3 import S3Storage


class S3Boto3Storage(S3Storage):
    """Files in a bucket."""
