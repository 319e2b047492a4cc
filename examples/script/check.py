"""A plain script: checks what a nightly job needs, prints what it found, and exits with 1 if something critical fails.

pip install lifesigns
python check.py [URL ...]
"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

import lifesigns
from lifesigns.specs import Disk, Http, Memory

engine = lifesigns.Engine()
engine.register("disk", Disk(paths=[Path.home().anchor]), critical=False)
engine.register("memory", Memory(), critical=False)


@lifesigns.check("python", timeout=2)
def python() -> str:
    """Return the message of a healthy result."""
    return f"Python {sys.version.split()[0]}"


def main(urls: list[str]) -> int:
    """Run all checks at once and return the exit code."""
    engine.register_declared()
    for url in urls:
        engine.register(f"http_{urlsplit(url).hostname}", Http(url=url), timeout=3)
    report = engine.run()
    for name, result in report["checks"].items():
        print(f"{result['status']:9} {name:20} {result['message']}")
    print(report["message"])
    return 1 if report["status"] == "unhealthy" else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
