"""What `tocsin status` shows of shelved rules, and on a narrow terminal."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from edge import status
from edge.status_page import page
from edge.words import NARROWEST
from tests.edge_bench import GAUGE, Bench
from tests.test_edge_status import _now, narrow
from tocsin.said import LANGS


@pytest.mark.parametrize(("lang", "shown", "told"), [
    ("en", "SHELVED: stage 30 min more gauge/stage_m", "stage on gauge/stage_m is shelved until 2024-08-08T00:30:00Z"),
    ("zh", "搁置：stage 还剩 30 分 gauge/stage_m", "gauge/stage_m 的规则“stage”已搁置至 2024-08-08T00:30:00Z"),
])
def test_a_rule_that_somebody_shelved_is_not_forgotten(tmp_path: Path, lang: str, shown: str, told: str) -> None:
    async def shelved() -> tuple[str, str]:
        bench = Bench(tmp_path)
        bench.operations.shelve("stage", GAUGE, 30, "Li Wei")
        during = bench.operations.levels().in_(lang), page(await _now(bench), lang)
        bench.operations.shelve("stage", GAUGE, 0, "Li Wei")
        assert told not in bench.operations.levels().in_(lang)
        bench.stop()
        return during

    levels, text = asyncio.run(shelved())
    narrow(text)
    assert shown in re.sub(r"\s+", " ", text)
    assert told in levels


@pytest.mark.parametrize("lang", LANGS)
async def test_on_a_telephone_held_upright_no_line_is_broken_and_nothing_is_lost(
    tmp_path: Path, lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    bench.read(2.6)
    bench.read(None)
    now = await _now(bench)
    disk = msgspec.structs.replace(now.disk, journal_s=5, error="No space left on device: " + "/a-long-name" * 6)
    now = msgspec.structs.replace(now, name="Bridge of the " + "long " * 6 + "river", disk=disk)
    text = page(now, lang, columns=NARROWEST)
    narrow(text, NARROWEST)
    assert re.sub(r"\s", "", text) == re.sub(r"\s", "", page(now, lang))
    for columns, wide in (("40", 40), ("7", 40), ("55", 55), ("200", 60)):
        monkeypatch.setenv("COLUMNS", columns)
        assert status._columns() == wide
    bench.stop()
