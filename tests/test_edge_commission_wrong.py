"""A walk through a station in which the person, or the disk, gets something wrong."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from edge.walk import FILE, BrokenOffError
from tests.edge_bench import GAUGE
from tests.test_edge_commission import Site


async def test_a_staff_reading_in_centimetres_is_asked_again_and_an_offset_that_blinds_is_put_back(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        with pytest.raises(BrokenOffError):
            await site.goes("", "105", "1.05", "y")
        assert "    staff 105 m and shown 1.000 m are more than 1 m apart. In metres? Type it once more." in site.told
        done = msgspec.json.decode((site.folder / FILE).read_bytes())["results"]
        assert done["staff"]["detail"].endswith("offset 0 -> 0.05; then shown 1.050 m")
        site.gauge.set("depth_m", 1.2)
        (site.folder / FILE).unlink()
        with pytest.raises(BrokenOffError):
            await site.goes("", "125", "125", "y")
        done = msgspec.json.decode((site.folder / FILE).read_bytes())["results"]
        assert done["staff"]["proved"] is False
        assert done["staff"]["detail"].endswith("; then no good reading; offset put back to 0.05")
        assert agent.operations.station.devices[0].scales()[GAUGE]["offset"] == 0.05


async def test_a_bucket_that_is_tried_again_is_in_service_for_the_whole_time_again(tmp_path: Path) -> None:
    site = Site(tmp_path)

    def late() -> str:
        for _ in range(25):
            site._wait(0.0)
        return site.tips(9)()

    def again() -> str:
        for _ in range(2):
            site._wait(0.0)
        return "y"

    def later() -> str:
        for _ in range(10):
            site._wait(0.0)
        return site.tips(10)()

    async with site.agent() as agent:
        with pytest.raises(BrokenOffError):
            await site.goes(late, again, later)
        await agent.recorder.written(agent.recorder.last_seq)
    assert [one for one in site.files.log() if type(one).__name__ == "Detection"] == [], "tips are no rain"


@pytest.mark.parametrize("torn", [b"", b"\0\0", b'{"who":"\xff'])
async def test_a_walk_whose_file_is_torn_begins_anew(tmp_path: Path, torn: bytes) -> None:
    site = Site(tmp_path)
    async with site.agent():
        (site.folder / FILE).write_bytes(torn)
        with pytest.raises(BrokenOffError):
            await site.goes()
        assert site.walk()._read(await asyncio.to_thread(site.walk()._now)).who == "Li Wei"
