"""What is wrong with a station itself stands on its page and on the desk; a link that sleeps is no silent station."""

from pathlib import Path

import msgspec
import pytest

from hub.web.freshness import Freshness, of_station
from tests.hub_web_view import MINUTE, NOW, PlainView, calm, client_of, station
from tocsin.faults import Fault, OpenFault
from tocsin.messages import Heartbeat

HEAT = OpenFault(Fault.HEAT, "cpu", "the processor has 91 C", NOW - MINUTE, "处理器温度 91 ℃")
SENSOR = OpenFault(Fault.SENSOR, "radar", "no good reading for 12 min", NOW - MINUTE)


@pytest.fixture
def view(tmp_path: Path) -> PlainView:
    return calm(tmp_path)


def ill(view: PlainView, **more: object) -> None:
    """The first station says that of itself."""
    first = view.stations_[0]
    view.stations_[0] = station(first.id, first.card, 4_000, **more)


@pytest.mark.parametrize("page", ["/", "/stations/longtan-upper"])
async def test_open_faults_and_the_state_of_the_battery_are_on_the_page_in_both_languages(
    view: PlainView, page: str
) -> None:
    ill(view, faults=[SENSOR, HEAT], power="saving", next_s=1500.0)
    async with client_of(view) as client:
        english = (await client.get(page, headers={"accept-language": "en"})).text
        chinese = (await client.get(page, headers={"accept-language": "zh"})).text
    for said in ("sensor radar: no good reading for 12 min", "temperature: the processor has 91 C",
                 "saving power, link asleep for up to 25 min"):
        assert said in english
    # the sensor's station is older, and says it in English alone
    for said in ("传感器 radar: no good reading", "温度: 处理器温度 91 ℃", "节电运行, 链路休眠，最长 25 分钟"):
        assert said in chinese


async def test_a_station_in_health_says_nothing_of_it(view: PlainView) -> None:
    ill(view, power="normal")
    async with client_of(view) as client:
        assert 'class="fault"' not in (await client.get("/stations/longtan-upper")).text


async def test_programs_get_them_too(view: PlainView) -> None:
    ill(view, faults=[HEAT], power="critical")
    async with client_of(view) as client:
        first = (await client.get("/api/v1/stations/longtan-upper")).json()["station"]
    assert (first["ills"], first["power"]) == ([msgspec.to_builtins(HEAT)], "critical")


@pytest.mark.parametrize(("ago_min", "next_s", "silent"), [(20, 0.0, True), (20, 1500.0, False), (29, 1500.0, True)])
def test_a_link_that_said_how_long_it_sleeps_is_silent_only_after_that(
    view: PlainView, ago_min: int, next_s: float, silent: bool
) -> None:
    before = station("quarry", None, ago_min * MINUTE, next_s=next_s)
    assert (of_station(before, NOW).freshness is Freshness.SILENT) is silent


def test_an_old_heartbeat_has_no_fault_and_a_new_fault_is_read_by_an_old_hub() -> None:
    old = b'{"v":1,"station":"a","t":1,"online":true}'
    assert msgspec.json.decode(old, type=Heartbeat).faults == []
    news = b'{"v":1,"station":"a","t":1,"online":true,"faults":[{"fault":"rats","what":"","detail":"x","since":1}]}'
    assert msgspec.json.decode(news, type=Heartbeat).faults[0].fault == "rats"
