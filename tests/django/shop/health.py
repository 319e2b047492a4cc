"""The checks that this app declares."""

from __future__ import annotations

from django.contrib.auth.models import User

import lifesigns


@lifesigns.check("customers", critical=False, timeout=2, depends_on=["database_connectivity"])
def customers() -> dict[str, object]:
    """There are some."""
    return {"status": "healthy", "message": f"{User.objects.count()} customers"}


@lifesigns.check("mqtt_broker")
async def broker_of_our_own() -> str:
    """In place of one of the 22."""
    return "our own broker is well"
