"""A hub's store as histories for `tocsin replay`: hub.toml names it. Looks, and changes nothing."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from hub.config import HubConfig, load_hub
from hub.database import DatabaseError
from hub.embedded import SqliteStore
from hub.errors import TransientError
from hub.influx import InfluxStore
from hub.store import EARLIEST_MS, LATEST_MS, Point, Row, Store
from thresholds.replay.choice import Choice
from thresholds.replay.gather import by_time, judged
from thresholds.replay.history import History, HistoryError, datum_of, median_step_ms
from thresholds.rule import Rules
from thresholds.series import Series
from thresholds.tables import I64
from tocsin.messages import SeriesCard, StationCard
from tocsin.quantities import QUANTITIES

PAGE = 50_000    # readings asked for at a time


def histories(path: Path, rules: Rules, choice: Choice) -> Iterator[History]:
    """The readings of each station of a hub that these rules judge. Raises HistoryError or ConfigError."""
    config = load_hub(path)
    data = Path(config.hub.data)
    cards = _cards(path, data / "hub.sqlite")
    if choice.station and choice.station not in cards:
        raise HistoryError(f'{path}: "{choice.station}" is not a station of this hub; use {", ".join(sorted(cards))}')
    found = 0
    for station in sorted(cards) if not choice.station else [choice.station]:
        try:
            history = asyncio.run(_history(config, data, station, cards[station], rules, choice))
        except (TransientError, DatabaseError) as err:
            raise HistoryError(f"{path}: the store cannot be read: {err}") from err
        if history is not None:
            found += 1
            yield history
    if not found:
        wanted = ", ".join(sorted({rule.quantity for rule in rules.rules}))
        raise HistoryError(f"{path}: no station of this hub has readings that a rule of {rules.place} judges "
                           f"({wanted}) in this time")


async def _history(
    config: HubConfig, data: Path, station: str, card: StationCard | None, rules: Rules, choice: Choice
) -> History | None:
    """None where nothing is judged."""
    store = _store(config, data)
    try:
        points = {f"{point.device}/{point.quantity}": point for point in await store.latest(station)
                  if point.quantity in QUANTITIES}
        described = {one.key: one for one in card.series} if card else {}
        wanted = judged([_series(key, point, described.get(key)) for key, point in points.items()], rules)
        columns, series = [], []
        for key, one in wanted.items():
            pages = [_arrays(page) async for page in _pages(store, points[key], choice)]
            if pages:
                t, value, bits = zip(*pages, strict=True)
                columns.append((np.concatenate(t), np.concatenate(value), np.concatenate(bits)))
                series.append(one if key in described else _assumed(one, columns[-1][0], rules))
        return by_time(station, series, columns) if series else None
    finally:
        await store.close()


async def _pages(store: Store, point: Point, choice: Choice) -> AsyncIterator[Sequence[Row]]:
    """Readings of one series, some at a time, so that no answer of a server grows too large."""
    start_ms = EARLIEST_MS if choice.start_ms is None else max(EARLIEST_MS, choice.start_ms)
    end_ms = LATEST_MS if choice.end_ms is None else min(LATEST_MS, choice.end_ms)
    while page := await store.readings(point, start_ms, end_ms, PAGE):
        yield page
        if len(page) < PAGE:
            return
        start_ms = page[-1][0] + 1


def _arrays(page: Sequence[Row]) -> tuple[I64, npt.NDArray[np.float64], I64]:
    t, value, bits = zip(*page, strict=True)
    return np.array(t, np.int64), np.array(value, np.float64), np.array(bits, np.int64)


def _store(config: HubConfig, data: Path) -> Store:
    table = config.store
    if table.kind == "influxdb1":
        return InfluxStore(table.url, table.database, table.user, table.password)
    path = data / "store.sqlite"
    if not path.exists():
        raise DatabaseError(f"{path} is not there; has this hub ever run here?")
    return SqliteStore(path)


def _cards(place: Path, path: Path) -> dict[str, StationCard | None]:
    """What each station said of itself when it last started."""
    if not path.exists():
        raise HistoryError(f"{place}: {path} is not there; has this hub ever run here?")
    try:
        with closing(sqlite3.connect(path, timeout=10.0)) as connection:
            rows = connection.execute("SELECT id, card FROM stations").fetchall()
    except sqlite3.Error as err:
        raise HistoryError(f"{path}: cannot be read: {err}") from err
    return {station: msgspec.json.decode(card, type=StationCard) if card else None for station, card in rows}


def _series(key: str, point: Point, card: SeriesCard | None) -> Series:
    if card is None:
        return Series(key, point.quantity, 1, QUANTITIES[point.quantity].plausible)
    return Series(key, card.quantity, max(1, round(card.period_s * 1000)), card.plausible, card.datum)


def _assumed(one: Series, t_ms: I64, rules: Rules) -> Series:
    """A series that its station never described: the period that its readings show, the zero of the rules."""
    return replace(one, period_ms=median_step_ms(t_ms), datum=datum_of(rules, one.quantity, None))
