"""Shows the checks of the demo project in the terminal, then serves it on 127.0.0.1:$PORT until Ctrl-C."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

PAGES = ("health/dashboard/", "health/", "ready/", "alive/", "startup/", "health/disk_space/")


def main() -> None:
    """Migrate, show, serve."""
    import django
    from demo.history import make_up  # type: ignore[import-not-found]  # beside this file
    from django.core.management import call_command

    os.environ["DJANGO_SETTINGS_MODULE"] = "demo.settings"
    django.setup()
    # The full demo's database has a table of sessions already.
    call_command("migrate", verbosity=0, fake_initial=True)
    make_up()
    with suppress(SystemExit):  # its exit code says what its table shows
        call_command("health_check", "--all")
    address = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
    print("\nOpen", *(f"http://{address}/{page}" for page in PAGES), sep="\n  ", end="\n\n", flush=True)
    call_command("runserver", address, use_reloader=False)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        main()
