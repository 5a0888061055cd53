"""The embedded store's file: old ones, damaged ones, new ones, and those that cannot be opened."""

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hub import embedded, store_rows
from hub.care import EVERY_S, FIRST_LOOK_S, LOOK_EVERY_S, StoreCare
from hub.config_store import StoreTable
from hub.database import Database, DatabaseError, SqliteFile
from hub.embedded import Mending, SqliteStore
from hub.errors import TransientError
from hub.forward import Forwarder
from hub.rollups import STEPS_MS
from hub.store_file import FIRST, open_file
from tests.hub_messages import NOON_MS
from tests.hub_store import MIDNIGHT_MS, MINUTE_MS, STAGE, land, opened, plain, point, rolled, sql
from tocsin.clock import WoundClock


@pytest.mark.parametrize("with_summaries", [False, True])
async def test_a_file_of_version_1_is_opened_with_all_that_it_holds(tmp_path: Path, with_summaries: bool) -> None:
    path = tmp_path / "store.sqlite"
    rows = {MIDNIGHT_MS + n * 7 * MINUTE_MS: n % 13 / 4 for n in range(1_000)}
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(FIRST)
        if with_summaries:
            connection.execute("CREATE TABLE summaries (series_id INTEGER NOT NULL, t_ms INTEGER NOT NULL, since_ms"
                               " INTEGER NOT NULL, count INTEGER NOT NULL, low REAL NOT NULL, high REAL NOT NULL, mean"
                               " REAL NOT NULL, PRIMARY KEY (series_id, t_ms)) WITHOUT ROWID")
            connection.execute("INSERT INTO summaries VALUES (1, 5, 4, 3, 2.0, 2.0, 2.0)")
        connection.execute("INSERT INTO series VALUES (1, 'bridge', 'gauge', 'stage_m'), (2, 'bridge', 'a', 'b')")
        connection.executemany("INSERT INTO readings VALUES (1, ?, ?, 0)", rows.items())
        connection.execute("PRAGMA user_version = 1")
    for _ in range(2):
        async with opened(path) as store:
            assert [row[:2] for row in await store.readings(STAGE, 0, 1 << 50, 9_999)] == list(rows.items())
            for step in STEPS_MS:
                assert await rolled(store, step) == plain(rows, step)
            assert [(one.t_ms, one.value) for one in await store.latest("bridge")] == [max(rows.items())]
            assert sql(store, "SELECT count(*) FROM summaries") == [(int(with_summaries),)]


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 3")
    with pytest.raises(DatabaseError, match=r"format is version 3, made by a newer program; this one knows version 2"):
        SqliteStore(tmp_path / "store.sqlite", Mending(WoundClock(NOON_MS), asyncio.Event()))
    assert set_aside(tmp_path) == []


def spoil(path: Path, whole: int) -> None:
    """All but the first pages is rubbish."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(whole * 4096)
        file.write(b"\xff" * (size - whole * 4096))


def set_aside(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir() if "damaged" in one.name]


async def test_a_file_that_is_no_database_is_set_aside_by_the_hub_and_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"these are not the readings you are looking for" * 100)
    with pytest.raises(DatabaseError, match="not a usable database"):
        SqliteStore(path)
    mending = Mending(WoundClock(NOON_MS), asyncio.Event())
    async with opened(path, mending) as store:
        assert await store.wants_refill()
        assert store.counts["set aside"] == 1
        await store.write([STAGE])
        assert await store.latest_all() == [STAGE]
        await store.refilled()
    assert (tmp_path / f"store.sqlite.damaged-{NOON_MS}").read_bytes().startswith(b"these are not")
    async with opened(path, mending) as store:
        assert not await store.wants_refill()


async def damaged(path: Path, whole: int = 1) -> None:
    """A store of some days, spoilt."""
    async with opened(path) as store:
        await store.write([point(MIDNIGHT_MS + n * MINUTE_MS, float(n)) for n in range(5_000)])
    spoil(path, whole)


async def test_a_page_found_damaged_in_writing_sets_the_file_aside_and_landing_fills_the_new_one(
    tmp_path: Path
) -> None:
    clock = WoundClock(NOON_MS)
    database = Database(tmp_path / "hub.sqlite")
    path = tmp_path / "store.sqlite"
    async with opened(path) as before:
        forwarder = Forwarder(database, before, clock)
        land(database, range(1, 40))
        assert await forwarder.step()
        held = await before.readings(STAGE, 0, 1 << 50, 100)
        assert len(held) == 39
    await damaged(path)
    mending = Mending(clock, asyncio.Event())
    async with opened(path, mending) as store:
        forwarder = Forwarder(database, store, clock)
        care = StoreCare(store, StoreTable(), mending, forwarder, clock)
        land(database, range(40, 50))
        with pytest.raises(TransientError, match="malformed"):
            await forwarder.step()
        assert mending.replaced.is_set()
        await care.step()
        while await forwarder.step():
            pass
        now = await store.readings(STAGE, 0, 1 << 50, 100)
        assert now[:39] == held
        assert len(now) == 49
        assert not await store.wants_refill()
    database.close()


async def test_a_damaged_file_that_cannot_be_set_aside_is_tried_again_and_then_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes no rename for a while; what landed waits, and the store goes on by itself."""
    clock = WoundClock(NOON_MS)
    database = Database(tmp_path / "hub.sqlite")
    path = tmp_path / "store.sqlite"
    await damaged(path)
    mending = Mending(clock, asyncio.Event())
    async with opened(path, mending) as store:
        forwarder = Forwarder(database, store, clock)
        care = StoreCare(store, StoreTable(), mending, forwarder, clock)
        land(database, range(1, 10))
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", refuse)
            with pytest.raises(TransientError, match="malformed"):
                await forwarder.step()
            assert mending.replaced.is_set()
            for again in (forwarder.step, care.step, store.latest_all):
                with pytest.raises(TransientError, match=r"cannot be set aside: .*No space"):
                    await again()
        await care.step()
        while await forwarder.step():
            pass
        assert len(await store.readings(STAGE, 0, 1 << 50, 100)) == 9
        assert len(set_aside(tmp_path)) == 1
    database.close()


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_hub_starts_beside_a_store_that_cannot_be_opened_now_and_goes_on_with_it_later(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.mkdir()    # no file can be opened there
    async with opened(path, Mending(WoundClock(NOON_MS), asyncio.Event())) as store:
        for _ in range(2):
            with pytest.raises(TransientError, match="cannot be opened"):
                await store.write([STAGE])
        path.rmdir()
        await store.write([STAGE])
        assert await store.latest_all() == [STAGE]
    assert set_aside(tmp_path) == []


async def test_an_old_file_that_takes_long_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()
    def slowly(path: Path) -> SqliteFile:
        may_end.wait()
        return open_file(path)

    monkeypatch.setattr(embedded, "open_file", slowly)
    monkeypatch.setattr(embedded, "_PATIENCE_S", 0.0)
    async with opened(tmp_path / "store.sqlite", Mending(WoundClock(NOON_MS), asyncio.Event())) as store:
        try:
            for _ in range(2):
                with pytest.raises(TransientError, match="is being opened"):
                    await store.latest_all()
        finally:
            may_end.set()
        assert store._opening is not None
        await store._opening
        await store.write([STAGE])
        assert await store.latest_all() == [STAGE]


async def test_a_store_file_that_is_gone_or_was_never_there_is_filled_with_what_landing_holds(tmp_path: Path) -> None:
    """Also after a crash between setting a damaged one aside and making the new one."""
    clock = WoundClock(NOON_MS)
    database = Database(tmp_path / "hub.sqlite")
    path = tmp_path / "store.sqlite"
    land(database, range(1, 10))
    for _ in range(2):
        mending = Mending(clock, asyncio.Event())
        async with opened(path, mending) as store:
            forwarder = Forwarder(database, store, clock)
            await StoreCare(store, StoreTable(), mending, forwarder, clock).step()
            while await forwarder.step():
                pass
            assert len(await store.readings(STAGE, 0, 1 << 50, 100)) == 9
            assert not await store.wants_refill()
        path.unlink()
    database.close()


async def test_the_loop_goes_on_while_a_large_batch_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_in: set[str] = set()

    def look(_: object) -> str:
        looked_in.add(threading.current_thread().name)
        return ""

    monkeypatch.setattr(store_rows, "problem_of", look)
    async with opened(tmp_path / "store.sqlite") as store:
        await store.write([STAGE])
    assert len(looked_in) == 1
    assert threading.current_thread().name not in looked_in


async def test_who_only_reads_sets_nothing_aside(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    await damaged(path)
    mending = Mending(WoundClock(NOON_MS), asyncio.Event())
    async with opened(path, mending) as store:
        with pytest.raises(TransientError, match="malformed"):
            await store.latest_all()
        assert not mending.replaced.is_set()
    async with opened(path) as store:
        with pytest.raises(TransientError, match="malformed"):
            await store.write([STAGE])
    assert set_aside(tmp_path) == []


async def test_damage_that_nobody_met_is_found_by_the_weekly_look_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = WoundClock(NOON_MS)
    database = Database(tmp_path / "hub.sqlite")
    path = tmp_path / "store.sqlite"
    await damaged(path, whole=30)
    mending = Mending(clock, asyncio.Event())
    async with opened(path, mending) as store:
        care = StoreCare(store, StoreTable(keep_days=0), mending, Forwarder(database, store, clock), clock)
        await care.step()
        for count, wait_s in enumerate((FIRST_LOOK_S, LOOK_EVERY_S), 1):
            clock.wind_to(clock.now_ms() + round(wait_s * 1000))
            care._prune_at_s = clock.monotonic_s() + EVERY_S
            await care.step()
            assert store.counts["damaged"] == count
        assert "is damaged: " in caplog.text
        assert not mending.replaced.is_set()
    database.close()


async def test_a_refill_while_a_batch_is_on_its_way_is_not_undone(tmp_path: Path) -> None:
    clock = WoundClock(NOON_MS)
    database = Database(tmp_path / "hub.sqlite")
    async with opened(tmp_path / "store.sqlite") as store:
        forwarder = Forwarder(database, store, clock)
        land(database, range(1, 10))
        await forwarder.step()
        land(database, range(10, 20))
        write: Callable[..., Any] = store.write

        async def refill_meanwhile(points: Any) -> None:
            await write(points)
            store.write = write    # type: ignore[method-assign]
            await forwarder.refill(0)

        store.write = refill_meanwhile    # type: ignore[method-assign]
        while await forwarder.step():
            pass
        assert forwarder.counts["forwarded"] == 9 + 19
    database.close()
