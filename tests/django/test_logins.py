"""Passwords that are made at each login: the checks log in as the application does, with one that is still valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.django.projects import run_json, run_text
from tests.services import Postgres, Redis
from tests.services.redis import PASSWORD, USER

# The second run logs in anew, with another token: the first one has expired.
DATABASE = """
import json
from pathlib import Path
import os
from django_lifesigns.runtime.engine import get_engine
engine = get_engine()
token = Path(os.environ["LIFESIGNS_TEST_TOKEN"])
found = []
for each in json.loads(Path("tokens.json").read_text()):
    token.write_text(each)
    found.append(engine.run(["database_connectivity", "connection_pool"], refresh=True)["checks"])
print(json.dumps(found))
"""
CACHE = """
import json
import django; django.setup()
from django_lifesigns.runtime.engine import get_engine
print(json.dumps(get_engine().run(["redis_connectivity", "default_cache"], refresh=True)["checks"]))
"""
SETTINGS = """
from redis import CredentialProvider

class Provider(CredentialProvider):
    def get_credentials(self):
        return {credentials}

CACHES = {{
    "default": {{
        "BACKEND": {backend!r},
        "LOCATION": "redis://127.0.0.1:{port}/1",
        "OPTIONS": {options},
    }}
}}
"""


@pytest.mark.services
def test_login__token_of_a_database(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFESIGNS_TEST_TOKEN", str(tmp_path / "token"))
    database = postgres.database(engine="tests.django.token_backend")
    (tmp_path / "tokens.json").write_text(f'["{database["PASSWORD"]}", "expired", "{database["PASSWORD"]}"]')
    database = {**database, "PASSWORD": "", "OPTIONS": {"use_iam_auth": True}}
    found = run_json(tmp_path, {"DATABASES": {"default": database}}, DATABASE)
    assert [checks["database_connectivity"]["status"] for checks in found] == ["healthy", "error", "healthy"]
    assert found[0]["database_connectivity"]["details"]["database_version"].startswith("PostgreSQL ")
    assert {checks["connection_pool"]["status"] for checks in found} == {"skipped"}


@pytest.mark.services
@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("django.core.cache.backends.redis.RedisCache", '{"credential_provider": Provider()}'),
        ("django_redis.cache.RedisCache", '{"CONNECTION_POOL_KWARGS": {"credential_provider": Provider()}}'),
    ],
)
@pytest.mark.parametrize(("password", "status"), [(PASSWORD, "healthy"), ("expired", "error")])
def test_login__credentials_of_a_cache(
    redis_server: Redis, tmp_path: Path, backend: str, options: str, password: str, status: str
) -> None:
    pytest.importorskip(backend.partition(".")[0])
    text = SETTINGS.format(credentials=(USER, password), backend=backend, port=redis_server.port, options=options)
    done = run_text(tmp_path, text, "-c", CACHE)
    assert done.returncode == 0, done.stderr
    found: Any = json.loads(done.stdout)
    assert found["redis_connectivity"]["status"] == status, found
    if status == "healthy":
        assert found["redis_connectivity"]["details"]["redis_version"]
        assert found["default_cache"]["status"] == "healthy"
    else:
        assert found["default_cache"]["blocked_by"] == "redis_connectivity"
