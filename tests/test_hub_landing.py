"""What is on the disk after a landing: each record once, each point at a time of its own, and the file itself."""

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import landing
from hub.checks import inspect
from hub.database import VERSION, Database, DatabaseError
from hub.landing import Landed, land, read
from hub.store import points_of
from tests.hub_messages import (
    BOOT,
    NOON_MS,
    OTHER_BOOT,
    SERIES,
    card,
    detection,
    event,
    heartbeat,
    readings,
    start,
    upload,
)
from tocsin import topics
from tocsin.messages import Readings, Record, encode, record_of

STATION = "lin-an-01"
HOUR_MS = 3_600_000


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "hub.sqlite")
    yield made
    made.close()


def arrive(database: Database, *records: Record | bytes, at: int = NOON_MS, station: str = STATION) -> Landed:
    """One message of a station, landed."""
    delivery = inspect(topics.up(station, topics.READINGS), upload(station, *records), {station})
    with database.transaction() as connection:
        return land(connection, [delivery], at)


def beat(database: Database, payload: bytes, *, at: int) -> None:
    delivery = inspect(topics.up(STATION, topics.HEARTBEAT), payload, {STATION})
    with database.transaction() as connection:
        land(connection, [delivery], at)


def times(database: Database) -> list[tuple[str, int]]:
    """(series, time) of every stored reading, in order of landing."""
    return [
        (series, row.times.get(index, t))
        for row in read(database.connection, 0, 10_000)
        if isinstance(record := record_of(row.raw), Readings)
        for index, (series, t) in enumerate(zip(record.series, record.t, strict=True))
    ]


def station_of(database: Database, column: str) -> object:
    (value,) = database.connection.execute(f"SELECT {column} FROM stations WHERE id = ?", (STATION,)).fetchone()
    return value


def test_records_lie_in_order_with_their_exact_bytes(database: Database) -> None:
    odd = encode(event(2)).replace(b'"boot"', b' "boot"')
    landed = arrive(database, start(1), odd, readings(3), at=NOON_MS + 5)
    rows = read(database.connection, 0, 10)
    assert [(row.seq, row.kind, row.arrived) for row in rows] == [
        (1, "start", NOON_MS + 5), (2, "event", NOON_MS + 5), (3, "readings", NOON_MS + 5)
    ]
    assert rows[1].raw == odd
    assert landed.counts == {"landed": 3, "clone": 0}


def test_a_repeat_lands_once(database: Database) -> None:
    arrive(database, readings(1), readings(2))
    landed = arrive(database, readings(2), readings(3), readings(3))
    assert [row.seq for row in read(database.connection, 0, 10)] == [1, 2, 3]
    assert (landed.counts["repeated"], landed.counts["landed"]) == (2, 1)
    assert landed.clones == [False]


def test_two_contents_with_one_id_both_land_and_raise_the_alarm(database: Database) -> None:
    arrive(database, readings(1, [1.0]))
    assert station_of(database, "clone_at") == 0
    landed = arrive(database, readings(1, [2.0]), at=NOON_MS + 60_000)
    assert landed.counts["clone"] == 1
    assert landed.clones == [True]
    assert len(read(database.connection, 0, 10)) == 2
    assert station_of(database, "clone_at") == NOON_MS + 60_000
    again = arrive(database, readings(1, [1.0]))
    assert (again.counts["clone"], again.clones) == (0, [True])
    arrive(database, readings(1, [3.0]), at=NOON_MS + 3 * HOUR_MS)
    told = database.connection.execute("SELECT t, station, what FROM order_journal").fetchall()
    assert told == [(NOON_MS + 60_000, STATION, "clone"), (NOON_MS + 3 * HOUR_MS, STATION, "clone")]


def test_a_reader_goes_on_behind_its_cursor(database: Database) -> None:
    arrive(database, *(readings(seq) for seq in range(1, 6)))
    assert landing.cursor_of(database.connection, "desk") == 0
    landing.move_cursor(database.connection, "desk", 3)
    landing.move_cursor(database.connection, "forwarder", 1)
    assert landing.cursor_of(database.connection, "desk") == 3
    assert [row.id for row in read(database.connection, 3, 10)] == [4, 5]
    assert [row.id for row in read(database.connection, 0, 2)] == [1, 2]


def test_large_records_come_in_smaller_helpings(database: Database) -> None:
    arrive(database, *(readings(seq) for seq in range(1, 6)))
    helpings = [len(read(database.connection, after, 10, 200)) for after in (0, 2, 4)]
    assert helpings == [2, 2, 1]


def test_a_clock_that_was_set_back_overwrites_nothing(database: Database) -> None:
    arrive(database, readings(1, [1.0, 2.0, 3.0]))
    arrive(database, readings(2, [7.0, 8.0, 9.0], boot=OTHER_BOOT))
    arrive(database, readings(3, [4.0], at=NOON_MS + 1_000))
    arrive(database, readings(4, [5.0], at=NOON_MS + 500))
    landed = [t - NOON_MS for _, t in times(database)]
    assert landed == [0, 1_000, 2_000, 1, 1_001, 2_001, 1_002, 500]


def test_one_time_twice_in_one_record_is_two_times(database: Database) -> None:
    arrive(database, readings(1, [1.0, 2.0, 3.0], step_ms=0))
    assert [t - NOON_MS for _, t in times(database)] == [0, 1, 2]


def test_other_series_and_stations_have_times_of_their_own(database: Database) -> None:
    arrive(database, readings(1))
    arrive(database, readings(2, series="gauge-2/stage_m"))
    arrive(database, readings(1), station="lin-an-02")
    assert {t for _, t in times(database)} == {NOON_MS}


def test_detections_and_events_of_one_moment_are_kept_apart(database: Database) -> None:
    arrive(database, detection(1, revision=1), detection(2, revision=2), event(3), event(4, detail="again"))
    arrive(database, event(5, device="bucket"), start(6), start(7, rules_hash="r2"))
    points = [
        point for row in read(database.connection, 0, 10) for point in points_of(STATION, record_of(row.raw), row.times)
    ]
    assert [point.t_ms - NOON_MS for point in points] == [0, 1, 0, 1, 0, 0, 1]


RECORDS = st.lists(
    st.tuples(
        st.sampled_from([SERIES, "bucket/rain_total_mm"]),
        st.sampled_from([0, 1, 2, 59_998, 59_999, 60_000, HOUR_MS, HOUR_MS + 1, 3 * HOUR_MS]),
        st.sampled_from([0, 1, 30_000, 2 * HOUR_MS]),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=60)
@given(records=RECORDS)
def test_times_are_those_of_a_plain_loop(records: list[tuple[str, int, int, int]]) -> None:
    expected: list[tuple[str, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "hub.sqlite")
        database.connection.execute("PRAGMA synchronous = OFF")
        for seq, (series, at, step, many) in enumerate(records, 1):
            arrive(database, readings(seq, range(many), at=NOON_MS + at, step_ms=step, series=series))
            for number in range(many):
                free = NOON_MS + at + number * step
                while (series, free) in expected:
                    free += 1
                expected.append((series, free))
        found = times(database)
        database.close()
    assert found == expected


def test_a_heartbeat_is_the_station_and_its_will_is_not(database: Database) -> None:
    beat(database, heartbeat(STATION), at=NOON_MS)
    assert station_of(database, "heard_at") == NOON_MS
    beat(database, heartbeat(STATION), at=NOON_MS + 60_000)  # the broker repeats what it retains
    assert station_of(database, "heard_at") == NOON_MS
    beat(database, heartbeat(STATION, at=NOON_MS + 60_000), at=NOON_MS + 60_000)
    assert station_of(database, "heard_at") == NOON_MS + 60_000
    beat(database, heartbeat(STATION, at=NOON_MS + 60_000, online=False), at=NOON_MS + 90_000)
    assert station_of(database, "heard_at") == NOON_MS + 60_000
    assert '"online":false' in str(station_of(database, "heartbeat"))
    arrive(database, readings(1), at=NOON_MS + 95_000)
    assert station_of(database, "heard_at") == NOON_MS + 95_000


def test_the_card_is_that_of_the_newest_start(database: Database) -> None:
    arrive(database, start(50, rules_hash="r5"))
    assert station_of(database, "card") == encode(card(rules_hash="r5")).decode()
    arrive(database, start(20, at=NOON_MS - 5, rules_hash="r2"))  # late history
    assert '"r5"' in str(station_of(database, "card"))
    arrive(database, start(60, at=NOON_MS - 9, boot=OTHER_BOOT, rules_hash="r6"))  # the clock was wrong
    assert '"r6"' in str(station_of(database, "card"))
    assert station_of(database, "boot") == OTHER_BOOT
    arrive(database, start(1, at=NOON_MS + 9, rules_hash="r7"))  # a new log
    assert '"r7"' in str(station_of(database, "card"))


def test_a_late_start_of_a_run_whose_clock_was_ahead_is_not_the_newest(database: Database) -> None:
    beat(database, heartbeat(STATION), at=NOON_MS)
    arrive(database, start(50, rules_hash="r5"))
    arrive(database, start(60, at=NOON_MS - 9, rules_hash="r6"))  # the clock was set back while it ran
    arrive(database, start(55, rules_hash="r5b"))
    assert '"r6"' in str(station_of(database, "card"))
    arrive(database, start(20, at=NOON_MS + 3_600_000, boot=OTHER_BOOT, rules_hash="r2"))
    assert '"r6"' in str(station_of(database, "card"))
    assert station_of(database, "boot") == BOOT


def test_the_card_is_that_of_the_run_that_lives(database: Database) -> None:
    arrive(database, start(50, rules_hash="r5"))
    arrive(database, start(20, at=NOON_MS + 3_600_000, boot=OTHER_BOOT, rules_hash="r2"))
    beat(database, heartbeat(STATION, online=False), at=NOON_MS)
    assert '"r2"' in str(station_of(database, "card")), "nobody lives"
    beat(database, heartbeat(STATION, at=NOON_MS + 1), at=NOON_MS + 1)
    assert '"r5"' in str(station_of(database, "card"))
    arrive(database, start(1, at=NOON_MS + 5, boot=OTHER_BOOT, rules_hash="new log"))
    beat(database, heartbeat(STATION, at=NOON_MS + 9, boot=OTHER_BOOT), at=NOON_MS + 9)
    assert '"r2"' in str(station_of(database, "card")), "the newest of that run"


def test_the_id_stays_with_the_file_until_a_backup_is_put_back(tmp_path: Path) -> None:
    first = Database(tmp_path / "hub.sqlite")
    first.close()
    again = Database(tmp_path / "hub.sqlite")
    assert again.hub_id == first.hub_id
    assert len(bytes.fromhex(again.hub_id)) == 8
    again.renew_id()
    assert again.hub_id != first.hub_id
    again.close()
    other = Database(tmp_path / "other.sqlite")
    assert other.hub_id not in {first.hub_id, again.hub_id}
    other.close()


def test_a_file_that_is_no_database_of_ours_is_named(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    path.write_bytes(b"these are the notes of somebody\n" * 300)
    with pytest.raises(DatabaseError, match=r"hub\.sqlite: not a usable database"):
        Database(path)
    path.unlink()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 7")
    newer.close()
    with pytest.raises(DatabaseError, match=f"version 7, made by a newer program; this one knows version {VERSION}:"):
        Database(path)
    with pytest.raises(DatabaseError, match="cannot be opened"):
        Database(path / "below a file" / "hub.sqlite")


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with database.transaction() as connection:
            landing.move_cursor(connection, "desk", 5)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert landing.cursor_of(database.connection, "desk") == 0
    arrive(database, readings(1))
