"""A hub in this process, on a clock of the test's, for tests of the whole journey."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hub.config import load_hub
from hub.service import Hub
from tests.services import free_port
from tests.tasks import beside
from tests.village import Village
from tocsin.clock import Clock
from tocsin.signing import new_signing_key


@dataclass
class HubFiles:
    """What `write` puts into `folder`: hub.toml, for stations given as (id, key)."""

    folder: Path
    broker: str
    stations: Sequence[tuple[str, str]]
    store: str = ""
    people: str = ""
    port: int = field(default_factory=free_port)
    private_key: str = field(default_factory=lambda: new_signing_key()[0])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self) -> Path:
        stations = "\n".join(f'[[station]]\nid = "{name}"\nkey = "{key}"' for name, key in self.stations)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "hub.toml"
        path.write_text(f"""
[hub]
name = "Lin'an county"
name_zh = "临安"
broker = "{self.broker}"
private_key = "{self.private_key}"
listen = "127.0.0.1:{self.port}"
public_url = "{self.url}"

[cap]
sender = "warnings.example"
status = "Exercise"

{self.store}
{self.people}
{stations}
""")
        return path


@asynccontextmanager
async def hub_on(village: Village) -> AsyncIterator[Hub]:
    """The real hub on a village's disk and clock, without a broker; its pages are asked without a network."""
    elsewhere = msgspec.structs.replace(village.config.hub, broker="mqtt://127.0.0.1:9")
    there = Hub(msgspec.structs.replace(village.config, hub=elsewhere), village.clock)
    yield there
    await there.store.close()
    there.archive.close()
    there._database.close()
    village.close()


@asynccontextmanager
async def running_hub(path: Path, clock: Clock) -> AsyncIterator[Hub]:
    """A hub until the end of the block; its own failure is raised there."""
    hub = Hub(load_hub(path), clock, path)
    async with beside(hub.run()):
        yield hub


def influx_store(url: str, database: str) -> str:
    return f'[store]\nkind = "influxdb1"\nurl = "{url}"\ndatabase = "{database}"\n'
