"""The outbox keeps the newest bulletin of each area and hazard: an area is its whole code, whatever stands in it."""

from pathlib import Path

import msgspec

from hub import outbox
from tests.village import Village
from tocsin.levels import Hazard, Level

CODES = ["330112100201", "330112100202", "330112", "33%", "33_112100201", "33", "a", "A"]


async def test_the_newest_of_one_area_are_of_no_other(tmp_path: Path) -> None:
    village = Village(tmp_path)
    village.starts("upper-bridge")
    await village.alarm(Level.ORANGE, 1)
    connection = village.database.connection
    (first,) = outbox.newest(connection)
    connection.execute("DELETE FROM meta WHERE key LIKE 'bulletin/%'")
    for number, code in enumerate(CODES):
        for hazard in (Hazard.FLOOD, Hazard.GAS):
            one = msgspec.structs.replace(first, area=code, hazard=hazard, version=number + 1)
            outbox.put(connection, one, [], 0)
    for number, code in enumerate(CODES):
        found = [(one.area, one.hazard) for one in outbox.newest(connection, code)]
        assert found == [(code, Hazard.FLOOD), (code, Hazard.GAS)]
        assert outbox.next_version(connection, code, 0) == number + 2
    assert {one.area for one in outbox.newest(connection)} == set(CODES)
    village.close()
