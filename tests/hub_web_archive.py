"""A real archive for the tests of the hub's pages, with warnings of the test's."""

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from hub import episodes
from hub.archive import Archive
from hub.database import Database
from hub.model import Warning as HubWarning
from tocsin.messages import encode


def archive_of(folder: Path, warnings: Sequence[HubWarning]) -> Archive:
    """Oldest first, as they became known."""
    path = folder / f"{uuid4().hex[:8]}.sqlite"
    database = Database(path)
    with database.transaction() as connection:
        for warning in sorted(warnings, key=lambda one: one.opened_at):
            state = encode(warning).decode()
            connection.execute("INSERT INTO warnings (id, state) VALUES (?, ?)", (warning.id, state))
            episodes.keep(connection, None, warning)
    database.close()
    return Archive(path)
