"""The name with which Django's mail greets a server.

Django looks it up when it sends its first mail (`DNS_NAME`), which takes seconds where the names of hosts cannot be
resolved. Here it is needed when checks are found, since mail servers refuse what comes without it: so it is looked up
on a thread of the engine's, and waited for only for a moment. What a look-up that fails would return is the host's own
name, which takes no look-up. The name is then the one that Django keeps, too.
"""

from __future__ import annotations

import socket

from django.core.mail.utils import DNS_NAME

from lifesigns import Job

PATIENCE_SECONDS = 0.25
# What no name may have in it.
STRAY = frozenset(" /@?#")


def greeting() -> str | None:
    """Return the name; None where it would be no name."""
    try:
        name = vars(DNS_NAME).get("_fqdn") or Job(DNS_NAME.get_fqdn).run(deadline=PATIENCE_SECONDS)
    except Exception:  # noqa: BLE001  # a look-up that takes too long, or a name that is not one
        name = socket.gethostname()
    is_name = isinstance(name, str) and name.isascii() and name.isprintable() and not STRAY & set(name)
    return name if is_name and name else None
