"""Windows of readings that the hub has yet to make: bounded whatever the store is like, and none lost in silence."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from hub.config_store import StoreTable
from hub.errors import TransientError
from hub.influx.downsample import AWAY_MS, DELAY_MS, PUT_OFF_MS, TOLD_AFTER_S, Downsampler
from hub.influx.place import DOWNSAMPLED
from hub.influx.setup import Plan, prepare
from hub.service import Hub
from hub.web.words import Words
from tests import village
from tests.hub_downsampling import DAY_MS, Rig, at
from tests.hub_messages import NOON_MS
from tests.services import InfluxDb
from tocsin.clock import WoundClock


@pytest.fixture
def new_rig(tmp_path: Path, influxdb: InfluxDb) -> Callable[..., Rig]:
    return lambda **options: Rig(tmp_path, influxdb, **options)


async def test_where_setup_was_never_run_what_waits_is_bounded_and_made_all_the_same(
    new_rig: Callable[..., Rig]
) -> None:
    rig = new_rig()
    await rig.send(*(at(NOON_MS - days * DAY_MS + minutes * 600_000, float(days + minutes))
                     for days in range(1, 11) for minutes in range(10)))
    waiting = len(rig.waiting())
    assert waiting == 10 * (10 + 2 + 1)
    rig.clock.wind_to(NOON_MS + DELAY_MS)
    await rig.downsampler.bound(waiting)
    assert len(rig.waiting()) == waiting
    await rig.downsampler.bound(waiting - 1)
    assert len(rig.waiting()) == 10
    await rig.work()
    assert rig.made() == rig.right()
    assert rig.waiting() == []
    assert rig.downsampler.counts["forgotten"] == 0
    await rig.close()


async def test_of_too_many_days_the_oldest_are_forgotten_and_told(
    new_rig: Callable[..., Rig], caplog: pytest.LogCaptureFixture
) -> None:
    rig = new_rig()
    await rig.send(*(at(NOON_MS - days * DAY_MS, float(days)) for days in range(1, 11)))
    rig.clock.wind_to(NOON_MS + DELAY_MS)
    await rig.downsampler.bound(6)
    assert [begin for _, begin in rig.waiting()] == [NOON_MS // DAY_MS * DAY_MS - days * DAY_MS
                                                     for days in (6, 5, 4, 3, 2, 1)]
    assert rig.downsampler.counts["forgotten"] == 4
    assert "oldest windows will not be made" in caplog.text
    await rig.close()


async def test_what_retention_took_while_it_waited_is_not_made_of_what_is_left(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig(keep_days=30)
    await rig.send(at(NOON_MS, 1.0))
    rig.clock.wind_to(NOON_MS + 31 * DAY_MS)
    await rig.downsampler.bound(0)
    await rig.work()
    assert rig.made() == {}
    assert rig.waiting() == []
    await rig.close()


@pytest.mark.parametrize(("away_ms", "made"), [(AWAY_MS, False), (AWAY_MS + 1, True)])
async def test_what_the_server_s_tasks_missed_before_the_store_was_away_is_the_hub_s(
    new_rig: Callable[..., Rig], away_ms: int, made: bool
) -> None:
    rig = new_rig(late_only=True)
    with rig.database.transaction() as connection:
        connection.execute("INSERT INTO stations (id) VALUES ('lin-an-01')")
    await rig.send(at(NOON_MS - 11 * 3_600_000, 1.0), at(NOON_MS, 2.0))     # the server goes before it looks at them
    rig.downsampler = rig.again()
    rig.clock.wind_to(NOON_MS + away_ms)
    await rig.send(at(NOON_MS + away_ms, 3.0))
    assert bool(rig.waiting()) == made
    rig.clock.wind_to(NOON_MS + 3 * DAY_MS)
    await rig.work()
    before = {key: one for key, one in rig.right().items() if key[3] <= NOON_MS}
    assert not made or before.items() <= rig.made().items()
    rig.downsampler.note(connection, set())
    noted = rig.waiting()
    rig.downsampler.note(connection, set())    # said once
    assert rig.waiting() == noted
    await rig.close()


async def test_that_setup_was_never_run_is_told_until_something_is_made(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig()
    rig.server.query("", f'DROP RETENTION POLICY "{DOWNSAMPLED}" ON "{rig.table.database}"')
    await rig.send(at(NOON_MS, 1.0))
    start_ms = NOON_MS + 2 * DAY_MS
    for passed_s, told in ((0.0, False), (TOLD_AFTER_S - 1, False), (TOLD_AFTER_S, True)):
        rig.clock.wind_to(start_ms + round(1000 * passed_s))
        with contextlib.suppress(TransientError):
            await rig.downsampler.step()
        assert bool(rig.downsampler.trouble()) == told
    said = rig.downsampler.trouble()
    assert "not made: " in said
    assert "retention policy not found" in said
    assert said.endswith("see `tocsin hub setup`")
    assert Words("zh").health(said).startswith("10 分钟、1 小时和 1 天的统计未生成")
    prepare(rig.table, Plan(dry=False, say=lambda _: None))
    rig.clock.wind_to(rig.clock.now_ms() + PUT_OFF_MS)
    assert await rig.downsampler.step()
    assert rig.downsampler.trouble() == ""
    await rig.close()


@pytest.mark.parametrize("downsample", ["off", "hub"])
async def test_the_hub_asks_its_downsampler_for_troubles(tmp_path: Path, downsample: Literal["off", "hub"]) -> None:
    table = StoreTable("influxdb1", "http://127.0.0.1:9", downsample=downsample)
    hub = Hub(msgspec.structs.replace(village.config(tmp_path), store=table), WoundClock(NOON_MS))
    asked = [getattr(one, "__self__", None) for one in hub.operations.also]
    assert any(isinstance(one, Downsampler) for one in asked) == (downsample == "hub")
    await hub.store.close()
    hub.archive.close()
    hub._database.close()
