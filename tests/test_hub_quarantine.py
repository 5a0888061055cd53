"""What was refused is kept for people to look at, and fills no disk."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import quarantine
from hub.checks import Refused, inspect
from hub.database import Database
from hub.landing import Landed, land
from hub.refusal import Refusal
from tests.hub_messages import NOON_MS, upload
from tocsin import topics

STATION, OTHER = "lin-an-01", "lin-an-02"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "hub.sqlite")
    yield made
    made.close()


def arrive(database: Database, *records: bytes, station: str = STATION, at: int = NOON_MS) -> Landed:
    delivery = inspect(topics.up(station, topics.READINGS), upload(station, *records), {station})
    with database.transaction() as connection:
        return land(connection, [delivery], at)


def bad(number: int) -> bytes:
    return b'{"number":%d,"long":"%s"}' % (number, b"x" * 20)


def kept(database: Database) -> Counter[str]:
    rows = database.connection.execute("SELECT topic, payload FROM quarantine WHERE NOT whole ORDER BY id")
    return Counter(topic.split("/")[2] for topic, _ in rows)


def sizes(database: Database) -> dict[str, int]:
    return dict(database.connection.execute("SELECT topic, bytes FROM quarantine_sizes").fetchall())


def counted(database: Database) -> dict[str, int]:
    """As `sizes` should be."""
    return dict(database.connection.execute(
        "SELECT topic, sum(length(payload) + length(detail) + 400) FROM quarantine WHERE NOT whole GROUP BY topic"
    ).fetchall())


def test_records_stay_and_messages_make_room(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "NEWEST_WHOLE", 3)
    monkeypatch.setattr(quarantine, "LARGEST_WHOLE", 10)
    arrive(database, *map(bad, range(8)))
    noise = [inspect("weather", b"noise number %d" % (number % 6), {STATION}) for number in range(60)]
    with database.transaction() as connection:
        land(connection, noise, NOON_MS)
    rows = database.connection.execute("SELECT whole, reason, payload FROM quarantine ORDER BY id").fetchall()
    assert [reason for whole, reason, _ in rows if not whole] == ["malformed"] * 8
    assert all(payload.endswith(b"}") for whole, _, payload in rows if not whole)
    newest = [(reason, payload) for whole, reason, payload in rows if whole]
    assert newest == [("not an uplink topic", b"noise numb")] * 3


def test_a_station_that_babbles_pushes_out_its_own_oldest_and_nothing_of_another(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(database, bad(0), bad(1), station=OTHER)
    one = sizes(database)[topics.up(OTHER, topics.READINGS)] // 2
    monkeypatch.setattr(quarantine, "MOST_BYTES", 10 * one + 50)
    assert arrive(database, *map(bad, range(8))).counts["quarantine let go"] == 0
    later = arrive(database, *map(bad, range(8, 13)), at=NOON_MS + 1)
    assert later.counts["quarantine let go"] == 5
    assert later.counts["quarantined: malformed"] == 5
    assert kept(database) == {OTHER: 2, STATION: 8}
    payloads = {row[0] for row in database.connection.execute("SELECT payload FROM quarantine")}
    assert payloads == {bad(number) for number in (0, 1, *range(5, 13))}


def test_what_was_set_aside_by_a_defect_of_the_hub_is_never_let_go(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is good, and its station was told to forget it."""
    aside = Refused(topics.up(STATION, topics.READINGS), Refusal.DEFECT, "", b"p" * 1_000, whole=False)
    with database.transaction() as connection:
        quarantine.put(connection, aside, NOON_MS)
    monkeypatch.setattr(quarantine, "MOST_BYTES", 1_500)
    arrive(database, bad(0), station=OTHER, at=NOON_MS + 1)
    arrive(database, *map(bad, range(8)), at=NOON_MS + 2)
    payloads = [row[0] for row in database.connection.execute("SELECT payload FROM quarantine")]
    assert payloads == [aside.payload]


def test_what_came_again_is_not_the_oldest(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(database, bad(1), bad(2))
    monkeypatch.setattr(quarantine, "MOST_BYTES", sum(sizes(database).values()))
    arrive(database, bad(1), at=NOON_MS + 1)
    arrive(database, bad(3), at=NOON_MS + 2)
    payloads = {row[0] for row in database.connection.execute("SELECT payload FROM quarantine")}
    assert payloads == {bad(1), bad(3)}


def test_one_that_is_larger_than_all_room_ends_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MOST_BYTES", 10)
    assert arrive(database, bad(1)).counts["quarantine let go"] == 1
    assert (kept(database), sizes(database)) == ({}, {})


def test_too_much_of_an_older_program_goes_bit_by_bit(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Landing waits for a transaction: it must not delete years of rows in one."""
    arrive(database, *map(bad, range(60)))
    monkeypatch.setattr(quarantine, "MOST_BYTES", 1_000)
    monkeypatch.setattr(quarantine, "_BACKLOG", 10)
    monkeypatch.setattr(quarantine, "_AT_ONCE", 7)
    gone = [arrive(database, bad(number)).counts["quarantine let go"] for number in range(100, 105)]
    assert gone[0] == 14
    assert sum(gone) == 60 + 5 - kept(database)[STATION]
    assert sum(sizes(database).values()) <= 1_000


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "store"]), st.integers(0, 6), st.booleans()), max_size=40))
def test_its_size_is_known_whatever_comes_twice_or_goes(came: list[tuple[str, int, bool]]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(quarantine, "NEWEST_WHOLE", 2)
        patched.setattr(quarantine, "MOST_BYTES", 4_000)
        database = Database(Path(":memory:"))
        for number, (topic, size, whole) in enumerate(came):
            refused = Refused(topic, Refusal.FORMAT, "words " * size, b"p" * 100 * size, whole)
            with database.transaction() as connection:
                quarantine.put(connection, refused, NOON_MS + number)
                quarantine.make_room(connection, 1)
            assert sizes(database) == counted(database)
            assert sum(sizes(database).values()) <= 4_000
        database.close()


def test_a_file_of_before_is_counted_once(tmp_path: Path) -> None:
    first = Database(tmp_path / "hub.sqlite")
    arrive(first, *map(bad, range(3)))
    for what in ("TRIGGER quarantine_more", "TRIGGER quarantine_less", "TABLE quarantine_sizes"):
        first.connection.execute(f"DROP {what}")
    first.close()
    for _ in range(2):
        again = Database(tmp_path / "hub.sqlite")
        assert sizes(again) == counted(again) != {}
        again.close()
