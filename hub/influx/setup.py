"""`tocsin hub setup hub.toml`: prepares the store that the file names, says what it did, can be run again.

1.x: database, retention, the policy DOWNSAMPLED, continuous queries. 3.x: databases. 2.x is in `setup2`, with
influxdb-client, which nothing else needs. Who may do that is often not who the hub is: the environment's TOCSIN_ADMIN
gives a token, for 1.x `user:password`.
"""

import argparse
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from hub.config import load_hub
from hub.config_store import StoreTable
from hub.errors import TransientError
from hub.influx.answers import failed, words_of
from hub.influx.place import DOWNSAMPLED, Place, place_of
from hub.influx.queries import identifier, text
from hub.influx.rollups import WIDTHS_MS, continuous_query
from tocsin.config import ConfigError

ADMIN = "TOCSIN_ADMIN"
_HTTP_TIMEOUT_S = 30.0
_WEEK_DAYS = 7
_RIGHTS = (401, 403)
_GO_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class SetupError(Exception):
    """The server refuses, or is not what hub.toml says."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Says each step, and does it unless it is only asked for (`dry`)."""

    dry: bool
    say: Callable[[str], None]

    def there(self, what: str) -> None:
        self.say(f"there       {what}")

    def make(self, what: str, do: Callable[[], object]) -> None:
        self._do("make", "made", what, do)

    def change(self, what: str, do: Callable[[], object]) -> None:
        self._do("change", "changed", what, do)

    def drop(self, what: str, do: Callable[[], object]) -> None:
        self._do("drop", "dropped", what, do)

    def _do(self, would: str, did: str, what: str, do: Callable[[], object]) -> None:
        if self.dry:
            self.say(f"would {would:<6}{what}")
            return
        do()
        self.say(f"{did:<12}{what}")


def main(argv: list[str]) -> int:
    """Exit code: 0 done, 1 a file or the server refuses, 2 the command line is off."""
    parser = argparse.ArgumentParser(prog="tocsin hub setup", description="Prepare the store that hub.toml names.",
                                     epilog=f"where the hub's own user may not do that: {ADMIN} in the environment, "
                                            "a token, for 1.x user:password")
    parser.add_argument("file", type=Path, help="the hub's configuration file")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    args = parser.parse_args(argv)
    try:
        prepare(load_hub(args.file).store, Plan(args.dry_run, print), os.environ.get(ADMIN, ""))
    except (ConfigError, SetupError, TransientError) as err:
        print(err, file=sys.stderr)
        return 1
    return 0


def refused(status: int, words: str) -> str:
    """What the server said, and what helps where it wants somebody with more rights."""
    more = f"; give an administrator's token, for 1.x user:password, in {ADMIN}" if status in _RIGHTS else ""
    return f"{status} {words}{more}"


def prepare(store: StoreTable, plan: Plan, admin: str = "") -> None:
    """Raises SetupError, TransientError."""
    match store.kind:
        case "embedded":
            plan.say("there       the embedded store: it needs no setup")
        case "influxdb1":
            _prepare1(store, plan, admin)
        case "influxdb2":
            from hub.influx.setup2 import prepare2

            prepare2(store, plan, admin)
        case "influxdb3":
            _prepare3(store, plan, admin)


def _prepare1(store: StoreTable, plan: Plan, admin: str) -> None:
    place = place_of(store)
    user, _, password = admin.partition(":")
    auth = httpx.BasicAuth(user, password) if admin else None
    with httpx.Client(base_url=place.url, headers=None if auth else dict(place.headers), auth=auth,
                      timeout=_HTTP_TIMEOUT_S, trust_env=False) as client:
        server = _Server1(client, place)
        database = identifier(store.database)
        if store.database in server.names("SHOW DATABASES"):
            plan.there(f"database {store.database}")
        else:
            plan.make(f"database {store.database}", lambda: server.do(f"CREATE DATABASE {database}"))
        _retention1(server, store, plan)
        _downsampling1(server, store, plan)
    if store.user:
        plan.say(f"if {store.user} cannot write yet, an administrator says: CREATE USER {identifier(store.user)} WITH "
                 f"PASSWORD {text('...')}; GRANT ALL ON {database} TO {identifier(store.user)}")


def _retention1(server: "_Server1", store: StoreTable, plan: Plan) -> None:
    database = identifier(store.database)
    policies = server.rows(f"SHOW RETENTION POLICIES ON {database}")
    name, now_s = next(((str(row["name"]), seconds_of(row["duration"])) for row in policies if row["default"]),
                       ("autogen", 0))
    wanted_s = 86_400 * store.influx_keep_days
    what = f"retention of readings: {days(wanted_s)}"
    if now_s == wanted_s:
        plan.there(what)
    else:
        # a policy of days is refused with groups of a week
        shards = "1d" if 0 < store.influx_keep_days <= _WEEK_DAYS else "7d"
        duration = f"{store.influx_keep_days}d" if wanted_s else "INF"
        plan.change(f"{what}, was {days(now_s)}", lambda: server.do(
            f"ALTER RETENTION POLICY {identifier(name)} ON {database} DURATION {duration} SHARD DURATION {shards}"))


def _downsampling1(server: "_Server1", store: StoreTable, plan: Plan) -> None:
    database = identifier(store.database)
    policies = {row["name"] for row in server.rows(f"SHOW RETENTION POLICIES ON {database}")}
    if store.downsample != "off":
        if DOWNSAMPLED in policies:
            plan.there(f"retention policy {DOWNSAMPLED}")
        else:
            plan.make(f"retention policy {DOWNSAMPLED}: for ever", lambda: server.do(
                f"CREATE RETENTION POLICY {identifier(DOWNSAMPLED)} ON {database} DURATION INF REPLICATION 1"))
    known = server.continuous(store.database)
    for width in WIDTHS_MS:
        name, wanted = f"tocsin_{width}", continuous_query(store.database, width)
        drop = f"DROP CONTINUOUS QUERY {identifier(name)} ON {database}"
        if store.downsample != "auto":
            if name in known:
                plan.drop(f"continuous query {name}", lambda drop=drop: server.do(drop))  # type: ignore[misc]
        elif known.get(name) == _bare(wanted):
            plan.there(f"continuous query {name}")
        else:
            both = [drop] * (name in known) + [wanted]
            plan.make(f"continuous query {name}", lambda both=both: [server.do(one) for one in both])  # type: ignore[misc]


def _prepare3(store: StoreTable, plan: Plan, admin: str) -> None:
    place = place_of(store)
    headers = {"Authorization": f"Bearer {admin}"} if admin else dict(place.headers)
    wanted = {store.database: store.influx_keep_days}
    if store.downsample != "off":
        wanted[f"{store.database}/{DOWNSAMPLED}"] = 0
    with httpx.Client(base_url=place.url, headers=headers, timeout=_HTTP_TIMEOUT_S, trust_env=False) as client:
        path = "/api/v3/configure/database"
        listed = asked(client, "GET", path, params={"format": "json"})
        known = {name for row in listed for name in row.values()}
        for name, keep in wanted.items():
            if name in known:
                plan.there(f"database {name}; its retention was settled when it was made")
                continue
            document = {"db": name} | ({"retention_period": f"{keep}d"} if keep else {})
            plan.make(f"database {name}: {days(86_400 * keep)}",
                      lambda document=document: asked(client, "POST", path, json=document))  # type: ignore[misc]


def asked(client: httpx.Client, method: str, path: str, **given: Any) -> Any:
    """The answer's JSON. Raises SetupError, TransientError."""
    try:
        answer = client.request(method, path, **given)
    except httpx.HTTPError as err:
        raise failed(client.base_url, err) from err
    if not answer.is_success:
        raise SetupError(f"{client.base_url}: {refused(answer.status_code, words_of(answer))}")
    try:
        return answer.json() if answer.content else None
    except ValueError as err:
        raise SetupError(f"{client.base_url}: not an answer of InfluxDB: {words_of(answer)}") from err


class _Server1:
    """Management of 1.x: InfluxQL over /query."""

    def __init__(self, client: httpx.Client, place: Place) -> None:
        self._client = client
        self._place = place

    def do(self, influxql: str) -> list[dict[str, Any]]:
        answer = asked(self._client, "POST", "/query", params={"q": influxql})
        result = answer["results"][0] if isinstance(answer, dict) and answer.get("results") else {"error": str(answer)}
        if "error" in result:
            raise SetupError(f"{self._place.url}: {influxql}: {result['error']}")
        return list(result.get("series", []))

    def rows(self, influxql: str) -> list[dict[str, Any]]:
        """None where the database is not there yet."""
        try:
            found = self.do(influxql)
        except SetupError as err:
            if "database not found" in str(err):
                return []
            raise
        return [dict(zip(one["columns"], row, strict=True)) for one in found for row in one.get("values", [])]

    def names(self, influxql: str) -> set[str]:
        return {str(row["name"]) for row in self.rows(influxql)}

    def continuous(self, database: str) -> dict[str, str]:
        """Texts of the database's continuous queries, as `_bare` gives them."""
        found = self.do("SHOW CONTINUOUS QUERIES")
        return {name: _bare(query) for one in found if one["name"] == database
                for name, query in one.get("values", [])}


def _bare(influxql: str) -> str:
    """A query without what the server adds and leaves away when it shows it."""
    return re.sub(r"from\S*readingsgroup", "fromreadingsgroup", re.sub(r'[\s"]', "", influxql).lower())


def seconds_of(duration: str) -> int:
    """Of Go's way to write it, as in 168h0m0s; 0 for ever."""
    found = _GO_DURATION.fullmatch(duration)
    hours, minutes, seconds = (int(one or 0) for one in found.groups()) if found else (0, 0, 0)
    return 3600 * hours + 60 * minutes + seconds


def days(seconds: int) -> str:
    return f"{seconds / 86_400:g} days" if seconds else "for ever"
