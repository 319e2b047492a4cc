"""A storage on S3 whose client gives up within a second: botocore's own limits are a minute, and five attempts."""

from __future__ import annotations

from botocore.config import Config
from storages.backends.s3 import S3Storage


class ImpatientS3Storage(S3Storage):  # type: ignore[misc]  # untyped
    def get_default_settings(self) -> dict[str, object]:
        limits = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})
        return {**super().get_default_settings(), "client_config": limits}
