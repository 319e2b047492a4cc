"""A server that speaks S3 (moto in a child process), in memory."""

from __future__ import annotations

import sys
import urllib.request

from tests.services.base import Service

BUCKET = "media"
KEYS = {"access_key": "key", "secret_key": "hunter2-of-s3", "region_name": "us-east-1"}


class S3(Service):
    """It takes any credentials, and has one empty bucket whenever it is started."""

    name = "s3"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def arguments(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "--host", self.host, "--port", str(self.port)]

    def environment(self) -> dict[str, str]:
        # It may be reached by a name, whose first part would be the bucket.
        return {**super().environment(), "S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true"}

    def start(self) -> None:
        if self.running:
            return
        super().start()
        signed = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
        request = urllib.request.Request(f"{self.url}/{BUCKET}", method="PUT", headers={"Authorization": signed})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
