"""PostgreSQL whose password is a token that a file holds, and that counts how often it was made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """The file is named by LIFESIGNS_TEST_TOKEN."""

    def get_connection_params(self) -> dict[str, Any]:
        parameters: dict[str, Any] = super().get_connection_params()
        parameters.pop("use_iam_auth", None)
        return {**parameters, "password": Path(os.environ["LIFESIGNS_TEST_TOKEN"]).read_text()}
