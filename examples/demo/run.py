"""Shows the checks of the demo project in the terminal, then serves it on 127.0.0.1:$PORT until Ctrl-C.

With --full it runs on a PostgreSQL, Redis, MQTT broker, mail server and APIs of its own (see full.py).
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGES = ("health/dashboard/", "health/", "ready/", "alive/", "startup/", "health/disk_space/")


def main() -> None:
    """Migrate, show, serve."""
    import django
    from django.core.management import call_command

    from examples.demo.demo.history import make_up

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


def interrupt(*_: object) -> None:
    """End as with Ctrl-C."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    sys.path[:0] = [str(HERE), str(HERE.parents[1])]
    from examples.demo.full import services

    with suppress(KeyboardInterrupt), services() if "--full" in sys.argv[1:] else nullcontext():
        main()
