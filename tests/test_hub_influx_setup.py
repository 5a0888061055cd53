"""`tocsin hub setup`: on a real InfluxDB 1.6, and by the published API of 2.x and 3.x."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from hub.config_store import StoreTable
from hub.influx import LineStore, place_of, rollups
from hub.influx.place import DOWNSAMPLED
from hub.influx.setup import Plan, SetupError, days, prepare, seconds_of
from simulators.influx import TOKEN, FakeInflux
from tests.hub_messages import NOON_MS
from tests.hubs import HubFiles
from tests.services import InfluxDb
from tests.shared_data import REPOSITORY
from tests.test_hub_stores import stages
from tocsin.__main__ import main


def done(store: StoreTable, *, dry: bool = False, admin: str = "") -> list[str]:
    said: list[str] = []
    prepare(store, Plan(dry, said.append), admin)
    return said


def verbs(said: list[str]) -> set[str]:
    return {line[:12].strip() for line in said}


def table1(influxdb: InfluxDb, **given: object) -> StoreTable:
    return StoreTable("influxdb1", influxdb.url, f"setup_{uuid4().hex}", **given)  # type: ignore[arg-type]


def test_influxdb_1_gets_database_retention_policy_and_queries(influxdb: InfluxDb) -> None:
    table = table1(influxdb, downsample="auto", influx_keep_days=400)
    planned = done(table, dry=True)
    assert table.database not in {row["name"] for row in influxdb.query("", "SHOW DATABASES")}
    made = done(table)
    assert [line[12:] for line in made] == [line[12:] for line in planned]
    assert verbs(planned) == {"would make", "would change"}
    policies = {row["name"]: row["duration"] for row in
                influxdb.query("", f'SHOW RETENTION POLICIES ON "{table.database}"')}
    assert policies == {"autogen": "9600h0m0s", DOWNSAMPLED: "0s"}
    assert verbs(done(table)) == {"there"}


def test_influxdb_1_is_brought_to_what_the_file_says_now(influxdb: InfluxDb) -> None:
    table = table1(influxdb, downsample="auto", influx_keep_days=400)
    done(table)
    later = StoreTable("influxdb1", influxdb.url, table.database, downsample="off")
    assert done(later) == [
        f"there       database {table.database}",
        "changed     retention of readings: for ever, was 400 days",
        *(f"dropped     continuous query tocsin_{width}" for width in rollups.WIDTHS_MS),
    ]
    assert verbs(done(later)) == {"there"}


@pytest.mark.parametrize("keep", [1, 3, 7, 8, 0])
def test_influxdb_1_takes_every_retention(influxdb: InfluxDb, keep: int) -> None:
    table = table1(influxdb, influx_keep_days=400)
    done(table)
    again = StoreTable("influxdb1", influxdb.url, table.database, influx_keep_days=keep)
    assert "changed" in verbs(done(again))
    assert verbs(done(again)) == {"there"}
    done(table)
    (policy,) = influxdb.query("", f'SHOW RETENTION POLICIES ON "{table.database}"')
    assert (policy["duration"], policy["shardGroupDuration"]) == ("9600h0m0s", "168h0m0s")


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "http://x:8086/ y", "http://x:0",
                                 "http://x:port", "http://:8086", "http://x?db=y", "x:8086"])
def test_an_address_that_is_none_is_told(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = HubFiles(tmp_path, "embedded:1883", [], f'[store]\nkind = "influxdb1"\nurl = "{url}"\n').write()
    assert main(["hub", "setup", str(path)]) == 1
    said = capsys.readouterr().err
    assert f'url: "{url}" is not allowed; use ' in said
    assert "an address like http://127.0.0.1:8086\n" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ('kind = "influxdb3"\nuser = "hub"', "user: is not for influxdb3; use token"),
        ('kind = "influxdb1"\nuser = "hub"\ntoken = "t"', "token: is not for a store with a user; use one of them"),
    ],
)
def test_a_name_that_would_not_be_used_is_told(
    words: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = HubFiles(tmp_path, "embedded:1883", [], f"[store]\n{words}\n").write()
    assert main(["hub", "setup", str(path)]) == 1
    assert said in capsys.readouterr().err


async def test_what_the_continuous_query_selects_is_right(influxdb: InfluxDb) -> None:
    table = table1(influxdb, downsample="auto")
    done(table)
    store = LineStore(place_of(table))
    await store.write(stages(1.0, 2.0, 6.0))
    await store.close()
    influxdb.query(table.database, rollups.select_into(table.database, "10m"))
    (row,) = influxdb.query(table.database, f'SELECT * FROM "{DOWNSAMPLED}"."readings_10m"')
    assert row == {
        "time": NOON_MS, "station": "lin-an-01", "device": "gauge", "quantity": "stage_m",
        "min": 1.0, "mean": 3.0, "max": 6.0, "sum": 9.0, "count": 3,
    }


def test_a_user_of_influxdb_1_is_told_how_to_be_made(influxdb: InfluxDb) -> None:
    said = done(table1(influxdb, user="hub", password="secret"))
    assert 'CREATE USER "hub"' in said[-1]
    assert not any("secret" in line for line in said)


@pytest.fixture
def table2() -> StoreTable:
    return StoreTable("influxdb2", token=TOKEN, org="county", bucket="water", downsample="auto", influx_keep_days=30)


def at(url: str, table: StoreTable, **given: object) -> StoreTable:
    return StoreTable(**({name: getattr(table, name) for name in table.__struct_fields__} | {"url": url} | given))


@pytest.mark.parametrize("org", ["county", ""])
async def test_influxdb_2_gets_org_buckets_mappings_and_tasks(table2: StoreTable, org: str) -> None:
    with FakeInflux(2, org=org) as fake:
        table = at(fake.url, table2)
        planned = done(table, dry=True)
        assert (fake.buckets, fake.dbrps, fake.tasks) == ({}, [], [])
        made = done(table)
        assert [line[12:] for line in made] == [line[12:] for line in planned]
        assert fake.orgs == ["county"]
        assert {name: bucket.seconds for name, bucket in fake.buckets.items()} == {
            "water": 30 * 86_400, "water_downsampled": 0
        }
        assert [(one["database"], one["retention_policy"], one["bucketID"], one["default"]) for one in fake.dbrps] == [
            ("tocsin", "autogen", "b-water", True), ("tocsin", "downsampled", "b-water_downsampled", False)
        ]
        assert [one["name"] for one in fake.tasks] == [f"tocsin readings_{width}" for width in rollups.WIDTHS_MS]
        assert verbs(done(table)) == {"there"}
        store = LineStore(place_of(table))
        await store.write(stages(1.0))
        assert await store.latest("lin-an-01") == []
        await store.close()
        assert len(fake.buckets["water"].points) == 1
    assert fake.faults == []


def test_influxdb_2_is_brought_to_what_the_file_says_now(table2: StoreTable) -> None:
    with FakeInflux(2) as fake:
        done(at(fake.url, table2))
        fake.tasks[0]["flux"] = 'option task = {name: "tocsin readings_10m", every: 5m}'
        said = done(at(fake.url, table2, influx_keep_days=60))
        assert [line for line in said if not line.startswith("there")] == [
            "changed     bucket water: 60 days, was 30 days", "changed     task tocsin readings_10m"
        ]
        assert fake.buckets["water"].seconds == 60 * 86_400
    assert fake.faults == []


def test_influxdb_3_gets_its_databases() -> None:
    with FakeInflux(3) as fake:
        table = StoreTable("influxdb3", fake.url, token="the hub's own", downsample="hub", influx_keep_days=30)
        assert verbs(done(table, dry=True, admin=TOKEN)) == {"would make"}
        assert verbs(done(table, admin=TOKEN)) == {"made"}
        assert {name: one.seconds for name, one in fake.buckets.items()} == {
            "tocsin": 30 * 86_400, "tocsin/downsampled": 0
        }
        assert verbs(done(table, admin=TOKEN)) == {"there"}
        with pytest.raises(SetupError, match=r"401.* in TOCSIN_ADMIN"):
            done(table)
    assert fake.faults == []


def test_a_wrong_token_of_influxdb_2_is_told(table2: StoreTable) -> None:
    with FakeInflux(2) as fake, pytest.raises(SetupError, match=r"401.* in TOCSIN_ADMIN"):
        done(at(fake.url, table2, token="wrong"), dry=True)


@pytest.mark.parametrize("kind", ["influxdb1", "influxdb2", "influxdb3"])
def test_a_server_that_is_away_is_told(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = f'[store]\nkind = "{kind}"\nurl = "http://127.0.0.1:9"\ntoken = "t"\norg = "county"\n'
    path = HubFiles(tmp_path, "embedded:1883", [], store).write()
    assert main(["hub", "setup", str(path)]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().err or kind == "influxdb2"


def test_the_command_says_what_it_did(
    influxdb: InfluxDb, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"setup_{uuid4().hex}"
    store = f'[store]\nkind = "influxdb1"\nurl = "{influxdb.url}"\ndatabase = "{name}"\n'
    path = HubFiles(tmp_path, "embedded:1883", [], store).write()
    assert main(["hub", "setup", str(path), "--dry-run"]) == 0
    assert main(["hub", "setup", str(path)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"would make  database {name}"
    assert f"made        database {name}" in said


def test_the_embedded_store_needs_none() -> None:
    assert verbs(done(StoreTable())) == {"there"}


def test_only_setup_imports_the_client() -> None:
    """300 ms and 51 MB that a hub does not need."""
    code = "import sys, hub.service, hub.command, hub.influx.setup; assert 'influxdb_client' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": "."})


@pytest.mark.parametrize(("words", "seconds"), [("168h0m0s", 604_800), ("0s", 0), ("1h30m0s", 5_400)])
def test_durations_of_the_server(words: str, seconds: int) -> None:
    assert seconds_of(words) == seconds


def test_days_read_like_words() -> None:
    assert [days(0), days(86_400), days(43_200)] == ["for ever", "1 days", "0.5 days"]
