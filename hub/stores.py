"""The store that hub.toml names."""

from pathlib import Path

from hub.config import HubConfig
from hub.database import DatabaseError
from hub.embedded import Mending, SqliteStore
from hub.influx import LineStore, place_of

FILE = "store.sqlite"

AnyStore = SqliteStore | LineStore


def open_store(config: HubConfig, mending: Mending | None = None) -> AnyStore:
    """Opens the embedded store, with `mending` for the hub itself, or makes a client that connects when it is asked
    and, for all but the hub, waits long for answers. Raises DatabaseError."""
    if config.store.kind != "embedded":
        return LineStore(place_of(config.store), patient=mending is None)
    return SqliteStore(Path(config.hub.data) / FILE, mending)


def open_existing(config: HubConfig) -> AnyStore:
    """The same for who looks in beside the hub. Raises DatabaseError where the embedded store is not there yet."""
    path = Path(config.hub.data) / FILE
    if config.store.kind == "embedded" and not path.exists():
        raise DatabaseError(f"{path} is not there; has this hub ever run here?")
    return open_store(config)
