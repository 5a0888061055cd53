"""Warnings and episodes of all years, page by page, for whoever looks back.

It reads hub.sqlite through a connection and a thread of its own: whatever is asked here, intake and desk do not wait.
"""

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from hub import warnings_kept
from hub.callout import significant
from hub.errors import TransientError
from hub.groups_log import Told
from hub.groups_state import Decision
from hub.model import Episode
from hub.model import Warning as HubWarning
from tocsin.levels import Hazard

_EPISODE = msgspec.json.Decoder(Episode)
_DECISION = msgspec.json.Decoder(Decision)
_OPENED = "json_extract(state, '$.opened_at')"  # the index warnings_opened is on these very words
_FOREVER = 1 << 62
_BUSY_S = 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; an empty word or 0 asks for nothing. `level` is the highest ever reached, at least.

    Whatever was going on at any moment of start <= t < end (ms UTC) is in that time. `warning` is for episodes
    alone.
    """

    station: str = ""
    area: str = ""
    hazard: str = ""
    level: int = 0
    start_ms: int = 0
    end_ms: int = _FOREVER
    open: bool | None = None
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """One episode as last heard, the warning it belongs to, and the highest level that it ever had.

    `number` rises in the order in which the hub heard of episodes; `cleared_at` is ms UTC, 0 while it lasts.
    """

    number: int
    warning: str
    area: str
    hazard: Hazard
    peak: int
    cleared_at: int
    episode: Episode


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where a table has what is asked for."""

    begin: str
    end: str
    peak: str
    area: str
    hazard: str


_IN_EPISODES = _Columns("since", "cleared", "peak", "area", "hazard")
_FIELDS = ("opened_at", "closed_at", "peak", "area", "hazard")
_IN_WARNINGS = _Columns(*(f"json_extract(state, '$.{name}')" for name in _FIELDS))


class Archive:
    """Of the hub.sqlite at that path, which must be there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="archive")
        self._connection: sqlite3.Connection | None = None

    async def warnings(self, wanted: Wanted, before: tuple[int, str] | None, limit: int) -> list[HubWarning]:
        """The newest first. `before`: opened_at and id of the last one that was seen. Raises TransientError."""
        conditions, values = _conditions(wanted, _IN_WARNINGS)
        if wanted.station:
            conditions.append("id IN (SELECT warning FROM episodes WHERE station = ?)")
            values.append(wanted.station)
        if wanted.open is not None:
            conditions.append("json_extract(state, '$.state') = ?")
            values.append("open" if wanted.open else "closed")
        if before is not None:
            conditions.append(f"({_OPENED}, id) < (?, ?)")
            values += before
        where = " AND ".join(conditions)
        rows = await self._ask(
            f"SELECT {warnings_kept.COLUMNS} FROM warnings WHERE {where} ORDER BY {_OPENED} DESC, id DESC LIMIT ?",  # noqa: S608 - constants
            [*values, limit],
        )
        return [warnings_kept.whole(*row) for row in rows]

    async def episodes(self, wanted: Wanted, before: int | None, limit: int) -> list[Kept]:
        """The newest to the hub first. `before`: the last number that was seen. Raises TransientError."""
        conditions, values = _conditions(wanted, _IN_EPISODES)
        if wanted.station:
            conditions.append("station = ?")
            values.append(wanted.station)
        if wanted.warning:
            conditions.append("warning = ?")
            values.append(wanted.warning)
        if wanted.open is not None:
            conditions.append("cleared = 0" if wanted.open else "cleared > 0")
        if before is not None:
            conditions.append("id < ?")
            values.append(before)
        where = " AND ".join(conditions)
        rows = await self._ask(
            f"SELECT id, warning, area, hazard, peak, cleared, state FROM episodes WHERE {where}"  # noqa: S608 - constants
            " ORDER BY id DESC LIMIT ?",
            [*values, limit],
        )
        return [
            Kept(number, warning, area, Hazard(hazard), peak, cleared, _EPISODE.decode(state))
            for number, warning, area, hazard, peak, cleared, state in rows
        ]

    async def groups(self, before: int | None, limit: int) -> list[Told]:
        """What rules over several stations decided, the newest first. `before`: the last id that was seen. Raises
        TransientError."""
        rows = await self._ask(
            "SELECT id, body FROM group_log WHERE id < ? ORDER BY id DESC LIMIT ?",
            [_FOREVER if before is None else before, limit],
        )
        return [Told(number, _DECISION.decode(body)) for number, body in rows]

    def close(self) -> None:
        """Waits for what still runs."""
        self._thread.shutdown(wait=True)
        if self._connection is not None:
            self._connection.close()

    async def _ask(self, sql: str, values: Sequence[Any]) -> list[Any]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, sql, values)
        except sqlite3.Error as err:
            raise TransientError(f"{self._path}: {err}") from err

    def _read(self, sql: str, values: Sequence[Any]) -> list[Any]:
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA query_only = ON")
            self._connection = connection
        return self._connection.execute(sql, values).fetchall()


def _conditions(wanted: Wanted, columns: _Columns) -> tuple[list[str], list[Any]]:
    """What warnings and episodes are both asked by, in SQL and its values."""
    lasts_to = f"coalesce(nullif({columns.end}, 0), {_FOREVER})"
    conditions = [f"{columns.begin} < ?", f"{lasts_to} >= ?", f"{columns.peak} >= ?"]
    values: list[Any] = [wanted.end_ms, wanted.start_ms, wanted.level]
    if wanted.area:
        within = significant(wanted.area)
        conditions.append(f"substr({columns.area}, 1, ?) = ?")
        values += [len(within), within]
    if wanted.hazard:
        conditions.append(f"{columns.hazard} = ?")
        values.append(wanted.hazard)
    return conditions, values
