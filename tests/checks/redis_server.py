"""A Redis server of one test."""

from __future__ import annotations

from tests import services


class Configured(services.Redis):
    """A Redis of one test, with some lines of configuration of its own."""

    def __init__(self, *lines: str, tls: bool = False) -> None:
        super().__init__(tls=tls)
        self.lines = lines

    def prepare(self) -> None:
        super().prepare()
        with self.configuration.open("a") as configuration:
            configuration.writelines(f"{line}\n" for line in self.lines)

    def clients(self) -> list[str]:
        return [line for line in self.command("CLIENT", "LIST").splitlines() if "name=lifesigns" in line]
