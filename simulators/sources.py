"""What a scenario plays, as a record: a window of a record file, or hazards sampled from a moment on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from simulators.hazards import Filling, Gauge, Plume, Storm, rain_steps, sample
from simulators.scenario import HazardsTable, RecordTable
from tocsin import records
from tocsin.config import Table
from tocsin.times import ms_of


def window(table: RecordTable, folder: Path) -> records.Record:
    """The rows that the table asks for. Raises RecordError, or ValueError where there are none."""
    record = records.read(folder / table.file)
    if table.start or table.end:
        record = record.window(ms_of(table.start) if table.start else 0, ms_of(table.end) if table.end else 2**63)
    if not record.t_ms:
        raise ValueError(f"{table.file}: no rows from {table.start or 'its start'} to {table.end or 'its end'}")
    return record


def sampled(table: HazardsTable, origin_ms: int) -> records.Record:
    """The hazards, begun at `origin_ms` (UTC). Raises ValueError for a parameter out of bounds."""
    t_ms = [origin_ms + round(row * table.step_s * 1000) for row in range(int(table.lasts_s / table.step_s) + 1)]
    columns: dict[str, Callable[[int], float]] = {}
    if table.plume is not None:
        plume = Plume(**_given(table.plume, origin_ms))
        columns |= {"ch4_pct_lel": plume.ch4_pct_lel, "h2s_ppm": plume.h2s_ppm, "co_ppm": plume.co_ppm,
                    "o2_pct_vol": plume.o2_pct_vol}
    if table.filling is not None:
        tank = Filling(**_given(table.filling, origin_ms))
        columns |= {"tank_level_m": tank.tank_level_m, "tank_pressure_kpa": tank.tank_pressure_kpa,
                    "tank_temp_c": tank.tank_temp_c}
    record = sample("hazards", t_ms, columns)
    if table.storm is not None:
        storm = Storm(**_given(table.storm, origin_ms))
        record.columns["rain_mm"] = rain_steps(storm, t_ms)
        for gauge in table.gauge:
            settings = _given(gauge, origin_ms)
            column = settings.pop("column")
            if column in record.columns:
                raise ValueError(f'gauge: column "{column}" is there twice; use another name')
            river = Gauge(storm=storm, **settings)
            record.columns[column] = [river.stage_m(t) for t in t_ms]
    return record


def _given(table: Table, origin_ms: int) -> dict[str, Any]:
    """The keys that the file gives, as arguments; `after_s` becomes `start_ms`."""
    given = {name: value for name, value in msgspec.structs.asdict(table).items() if value is not None}
    if "after_s" in given:
        given["start_ms"] = origin_ms + round(given.pop("after_s") * 1000)
    return given
