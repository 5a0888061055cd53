"""The store that hub.toml names."""

from pathlib import Path

from hub.config import HubConfig
from hub.embedded import SqliteStore
from hub.influx import LineStore, place_of
from hub.store import Store


def store_of(config: HubConfig) -> Store:
    """Opens the embedded store, or makes a client that connects when it is asked. Raises DatabaseError."""
    if config.store.kind != "embedded":
        return LineStore(place_of(config.store))
    return SqliteStore(Path(config.hub.data) / "store.sqlite")
