"""The WAL is written back beside the commits: commits find it nearly empty, and it does not grow."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hub.checkpoints import Checkpoints
from hub.database import Database
from tests.test_hub_pruning import arrive
from tocsin.clock import WoundClock


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "hub.sqlite")
    yield made
    made.close()


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=1) as made:
        yield made


def wal_bytes(database: Database) -> int:
    return Path(f"{database.path}-wal").stat().st_size


async def test_the_wal_begins_anew_after_each_time(database: Database, thread: ThreadPoolExecutor) -> None:
    checkpoints = Checkpoints(database, WoundClock(0))
    sizes = []
    for number in range(5):
        arrive(database, range(1 + 20 * number, 21 + 20 * number), values=500)
        assert await checkpoints.step(thread)
        sizes.append(wal_bytes(database))
    # what comes next goes over what was written back: the file stays as large as the largest of them
    assert max(sizes) < 1.5 * sizes[1]
    (busy, pages, done) = database.connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert (busy, pages) == (0, done)


async def test_a_database_that_nobody_writes_to_is_left_alone(database: Database, thread: ThreadPoolExecutor) -> None:
    checkpoints = Checkpoints(database, WoundClock(0))
    arrive(database, range(1, 3))
    assert await checkpoints.step(thread)
    assert not await checkpoints.step(thread)
    arrive(database, range(3, 4))
    assert await checkpoints.step(thread)
