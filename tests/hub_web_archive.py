"""A real archive for the tests of the hub's pages, with warnings of the test's."""

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from hub import episodes
from hub.archive import Archive
from hub.database import Database
from hub.groups_log import put_decision
from hub.groups_state import Decision
from hub.model import Warning as HubWarning
from tocsin.messages import encode

_made: list[Archive] = []


def archive_of(folder: Path, warnings: Sequence[HubWarning], decisions: Sequence[Decision] = ()) -> Archive:
    """Warnings in the order in which they became known; `decisions` of group rules, the newest first."""
    path = folder / f"{uuid4().hex[:8]}.sqlite"
    database = Database(path)
    with database.transaction() as connection:
        for warning in sorted(warnings, key=lambda one: one.opened_at):
            state = encode(warning).decode()
            connection.execute("INSERT INTO warnings (id, state) VALUES (?, ?)", (warning.id, state))
            episodes.keep(connection, None, warning)
        for decision in reversed(decisions):
            put_decision(connection, 0, decision)
    database.close()
    _made.append(Archive(path))
    return _made[-1]


def close_archives() -> None:
    """All that were made: nothing is asked of them any more."""
    while _made:
        _made.pop().close()
