"""A server that speaks S3 (moto in a child process), in memory."""

from __future__ import annotations

import sys
import urllib.request

from tests.services.base import Service

BUCKET = "media"
KEYS = {"access_key": "key", "secret_key": "hunter2-of-s3", "region_name": "us-east-1"}


class S3(Service):
    """It takes any credentials, and has lost all buckets when it is started again."""

    name = "s3"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def arguments(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "--host", self.host, "--port", str(self.port)]

    def make_bucket(self) -> None:
        signed = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
        request = urllib.request.Request(f"{self.url}/{BUCKET}", method="PUT", headers={"Authorization": signed})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
