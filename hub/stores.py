"""Which store a hub has."""

from pathlib import Path

from hub.config import HubConfig
from hub.database import DatabaseError
from hub.embedded import Mending, SqliteStore
from hub.influx import InfluxStore
from hub.store import Store

FILE = "store.sqlite"


def open_store(config: HubConfig, mending: Mending | None = None) -> Store:
    """The store that hub.toml names; with `mending` for the hub itself. Raises DatabaseError."""
    table = config.store
    if table.kind == "influxdb1":
        return InfluxStore(table.url, table.database, table.user, table.password)
    return SqliteStore(Path(config.hub.data) / FILE, mending)


def open_existing(config: HubConfig) -> Store:
    """The same for who looks in beside the hub. Raises DatabaseError where the embedded store is not there yet."""
    path = Path(config.hub.data) / FILE
    if config.store.kind == "embedded" and not path.exists():
        raise DatabaseError(f"{path} is not there; has this hub ever run here?")
    return open_store(config)
