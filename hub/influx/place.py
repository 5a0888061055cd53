"""How each version of InfluxDB is spoken to: where lines go, where questions go, who asks.

    1.x   POST /write?db=..&precision=ms              Basic user and password, or Token (1.8 and later)
    2.x   POST /api/v2/write?org=..&bucket=..         Token; also VictoriaMetrics, which only takes lines
    3.x   POST /api/v3/write_lp?db=..                 Bearer

All three answer InfluxQL on /query in the form of 1.x: 2.x through a DBRP mapping of database to bucket, 3.x by itself.
Sources: the published API references of InfluxData for OSS v1, OSS v2 and InfluxDB 3 Core.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from hub.config_store import StoreTable

DOWNSAMPLED = "downsampled"     # retention policy, and end of a bucket's name

Where = tuple[str, Mapping[str, str]]    # a path and its parameters


@dataclass(frozen=True, slots=True)
class Place:
    """One database of one server. `write` is where lines go, `write_downsampled` where those of the retention policy
    DOWNSAMPLED go; `headers` say who asks. `makes_database`: a write to none says 404, and the store makes it."""

    version: int
    url: str
    database: str
    write: Where
    write_downsampled: Where
    headers: Mapping[str, str]
    makes_database: bool = False


def influxdb1(url: str, database: str, user: str = "", password: str = "", token: str = "") -> Place:
    """InfluxDB 1.x."""
    line = {"db": database, "precision": "ms"}
    return Place(1, url, database, ("/write", line), ("/write", line | {"rp": DOWNSAMPLED}),
                 _token(token) if token else _basic(user, password), makes_database=True)


def influxdb2(url: str, org: str, bucket: str, token: str, database: str = "") -> Place:
    """InfluxDB 2.x; `database` is the bucket's name in its DBRP mapping, the same unless given."""
    line = {"org": org, "bucket": bucket, "precision": "ms"}
    return Place(2, url, database or bucket, ("/api/v2/write", line),
                 ("/api/v2/write", line | {"bucket": f"{bucket}_{DOWNSAMPLED}"}), _token(token))


def influxdb3(url: str, database: str, token: str = "") -> Place:
    """InfluxDB 3.x. A write is answered when it is in the server's log on disk (`no_sync=false`).

    InfluxQL of 3.x finds a retention policy in the database `<database>/<policy>`.
    """
    path, line = "/api/v3/write_lp", {"precision": "millisecond", "accept_partial": "true", "no_sync": "false"}
    return Place(3, url, database, (path, {"db": database} | line), (path, {"db": f"{database}/{DOWNSAMPLED}"} | line),
                 {"Authorization": f"Bearer {token}"} if token else {})


def place_of(table: StoreTable) -> Place:
    """The place that [store] of hub.toml names. Raises ValueError for the embedded store."""
    match table.kind:
        case "influxdb1":
            return influxdb1(table.url, table.database, table.user, table.password, table.token)
        case "influxdb2":
            return influxdb2(table.url, table.org, table.bucket or table.database, table.token, table.database)
        case "influxdb3":
            return influxdb3(table.url, table.database, table.token)
        case _:
            raise ValueError(f"{table.kind} is not an InfluxDB")


def _token(token: str) -> dict[str, str]:
    return {"Authorization": f"Token {token}"}


def _basic(user: str, password: str) -> dict[str, str]:
    if not user:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
