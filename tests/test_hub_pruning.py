"""What has landed goes when it is old or too much, and never before every reader is done with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub import pruning
from hub.checks import inspect
from hub.config_landing import LandingTable
from hub.database import Database
from hub.forward import READERS
from hub.landing import land, move_cursor, read
from hub.orders import height_of
from hub.pruning import Pruner, used_bytes
from tests.hub_lander import STATION
from tests.hub_messages import NOON_MS, readings, upload
from tocsin import topics
from tocsin.clock import WoundClock
from tocsin.times import DAY_MS


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "hub.sqlite")
    yield made
    made.close()


def arrive(database: Database, seqs: range, values: int = 1) -> None:
    """A record each millisecond."""
    for seq in seqs:
        payload = upload(STATION, readings(seq, [1.0] * values, at=NOON_MS + seq * values * 1_000))
        with database.transaction() as connection:
            land(connection, [inspect(topics.up(STATION, topics.READINGS), payload, {STATION})], NOON_MS + seq)


def done(database: Database, last_id: int, *readers: str) -> None:
    with database.transaction() as connection:
        for reader in readers:
            move_cursor(connection, reader, last_id)


def there(database: Database) -> list[int]:
    return [row.seq for row in read(database.connection, 0, 100_000)]


async def test_old_records_go_when_every_reader_is_done(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "_AT_ONCE", 2)
    clock = WoundClock(NOON_MS)
    pruner = Pruner(database, LandingTable(keep_days=3), clock)
    arrive(database, range(1, 7))
    done(database, 6, "forwarder")
    clock.wind_to(NOON_MS + 3 * DAY_MS + 4)
    assert await pruner.prune() == 0, "the desk has not read anything"
    done(database, 5, "desk")
    assert await pruner.prune() == 3
    clock.wind_to(NOON_MS + 6 * DAY_MS)
    assert await pruner.prune() == 2
    assert there(database) == [6]
    assert pruner.counts == {"pruned by age": 5}
    done(database, 6, "forwarder", "desk")
    clock.wind_to(NOON_MS + 9 * DAY_MS)
    assert await pruner.prune() == 1
    assert height_of(database.connection, STATION) == 6, "a successor must begin above all that ever was"


async def test_what_is_too_much_goes_before_it_is_old_but_never_what_a_reader_needs(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_AT_ONCE", 10)
    arrive(database, range(1, 101), values=1_000)
    pruner = Pruner(database, LandingTable(max_gb=1e-3), WoundClock(NOON_MS))
    size = used_bytes(database.connection)
    assert size > 3_000_000
    done(database, 20, *READERS)
    assert await pruner.prune() == 20
    assert there(database) == list(range(21, 101))
    done(database, 100, *READERS)
    await pruner.prune()
    assert 0 < used_bytes(database.connection) <= 1_000_000
    assert there(database)[-1] == 100
    assert pruner.counts["pruned by size"] == 100 - len(there(database))
    arrive(database, range(101, 141), values=1_000)
    (pages,) = database.connection.execute("PRAGMA page_count").fetchone()
    assert pages * 4096 <= 1.1 * size, "what lands next takes the room of what went"
