"""The warnings in hub.sqlite: the newest state of each. SQL only.

A warning may have thousands of episodes, of which a storm changes one at a time: they lie beside it, each in a row of
its own. One that an older program wrote has them inside, until it changes.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from hub.model import Episode
from hub.model import Warning as HubWarning
from tocsin.messages import encode


def _part(name: str) -> str:
    """As one JSON object, in the order in which they came; NULL where there are none."""
    return f"""(SELECT '{{' || group_concat(json_quote(key) || ':' || body) || '}}' FROM (
        SELECT key, body FROM warning_parts WHERE warning = warnings.id AND part = '{name}' ORDER BY id))"""  # noqa: S608


COLUMNS = f"state, {_part('episodes')}, {_part('earlier')}"    # in one statement, so that they fit

# by the index warnings_closed: everybody may ask for them, with an answer link that was made up
CLOSED = f"""
SELECT {COLUMNS} FROM warnings WHERE json_extract(state, '$.state') = 'closed'
ORDER BY json_extract(state, '$.closed_at') DESC, id LIMIT ?
"""  # noqa: S608
_WARNING = msgspec.json.Decoder(HubWarning)
_EPISODES = msgspec.json.Decoder(dict[str, Episode])


def put(
    connection: sqlite3.Connection, warnings: Iterable[HubWarning], held: Mapping[str, HubWarning] | None = None
) -> None:
    """Inside the transaction that changes them. `held`: what `put` last wrote of some of them; of these only what is
    other is written."""
    for warning in warnings:
        before = (held or {}).get(warning.id)
        if before is None:
            connection.execute("DELETE FROM warning_parts WHERE warning = ?", (warning.id,))
        _put_part(connection, warning.id, "episodes", before.episodes if before else {}, warning.episodes)
        _put_part(connection, warning.id, "earlier", before.earlier if before else {}, warning.earlier)
        rest = msgspec.structs.replace(warning, episodes={}, earlier={})
        connection.execute(
            "INSERT OR REPLACE INTO warnings (id, state) VALUES (?, ?)", (warning.id, encode(rest).decode()))


def _put_part(
    connection: sqlite3.Connection, warning: str, part: str, before: Mapping[str, Episode], now: Mapping[str, Episode]
) -> None:
    if now is before:
        return
    connection.executemany(
        "DELETE FROM warning_parts WHERE warning = ? AND part = ? AND key = ?",
        [(warning, part, key) for key in before.keys() - now.keys()])
    connection.executemany(
        "INSERT INTO warning_parts (warning, part, key, body) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (warning, part, key) DO UPDATE SET body = excluded.body",
        [(warning, part, key, encode(one).decode()) for key, one in now.items()
         if (old := before.get(key)) is not one and old != one])


def load(connection: sqlite3.Connection, warning_id: str) -> HubWarning | None:
    row = connection.execute(f"SELECT {COLUMNS} FROM warnings WHERE id = ?", (warning_id,)).fetchone()  # noqa: S608
    return whole(*row) if row else None


def everything(connection: sqlite3.Connection) -> Iterator[HubWarning]:
    for row in connection.execute(f"SELECT {COLUMNS} FROM warnings"):  # noqa: S608
        yield whole(*row)


def still_open(connection: sqlite3.Connection) -> Iterator[HubWarning]:
    """In the order of their ids."""
    for row in connection.execute(
            f"SELECT {COLUMNS} FROM warnings WHERE json_extract(state, '$.state') = 'open' ORDER BY id"):  # noqa: S608
        yield whole(*row)


def closed(connection: sqlite3.Connection, limit: int) -> list[HubWarning]:
    """Newest first."""
    return [whole(*row) for row in connection.execute(CLOSED, (limit,))]


def whole(state: str, episodes: str | None, earlier: str | None) -> HubWarning:
    """A row of COLUMNS."""
    warning = _WARNING.decode(state)
    if episodes is None and earlier is None:
        return warning
    return msgspec.structs.replace(
        warning, episodes=_EPISODES.decode(episodes or "{}"), earlier=_EPISODES.decode(earlier or "{}"))
