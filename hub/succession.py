"""What the successor of a dead station gets: the papers, a new key, and the dead one's place in the sequence.

    station.toml, rules.toml, ...   as the station last sent them; secrets are new or to be filled in
    DATA/hub-rules                  the hub's rules that were in force: an older version is refused as before
    DATA/commands                   no command that the dead one may have had is done by its successor
    DATA/log/cursor                 its log goes on above the highest number that the hub has of the station
    DATA/succession                 the newest word of every rule: revisions count on from there, and what stood above
                                    clear stays so until the successor's own readings say otherwise

The names are those of edge.rule_source, edge.orders, tocsin.log and edge.restore.
"""

import json
import re
import sqlite3
import tomllib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import convert

from hub import orders, warnings_kept
from hub.database import Database
from hub.model import Episode
from hub.sayings import say
from tocsin.levels import Hazard
from tocsin.messages import VERSION, Detection, encode, record_of
from tocsin.orders import Papers, RulesOrder
from tocsin.said import Said, SaidError

NOT_SENT = "not sent"    # stands for every secret in the papers
_DATA = "station-data"
_NO_BOOT = "0" * 16
_TLS_FILES = ("ca", "cert", "cert_key")
_HUB_TABLE = re.compile(r"^\[hub\][^\n]*\n(?:(?!\[).*\n?)*", re.MULTILINE)


class SuccessionError(SaidError):
    """Why there can be no successor yet; a sentence."""


class _Sent(msgspec.Struct, frozen=True):
    """As much of a station file as is looked at."""

    station: dict[str, Any]
    hub: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Succession:
    """Texts by name in the station's folder, and what a person has still to do."""

    files: dict[str, str]
    to_do: list[Said]


def of(database: Database, station: str, key: str, public_key: str, broker: str) -> Succession:
    """`broker` is "" where that of before stays. Raises SuccessionError."""
    connection = database.connection
    papers = orders.papers_of(connection, station)
    if papers is None:
        raise SuccessionError(say("no_papers", station=station))
    config, to_do = _config(papers.config, key, public_key, broker)
    table = convert(tomllib.loads(config), _Sent).station
    files = {"station.toml": config}
    for name, text in papers.files.items():
        files.setdefault(_beside(name), text)
        if _beside(name) != name:
            to_do.append(say("belongs", name=_beside(name), place=name))
    data = str(table.get("data", _DATA))
    folder = data if _beside(data) == data else _DATA
    if folder != data:
        to_do.append(say("belongs", name=folder, place=data))
    files |= {f"{folder}/{name}": text for name, text in _data(database, station, papers).items()}
    return Succession(files, to_do)


def _data(database: Database, station: str, papers: Papers) -> dict[str, str]:
    connection = database.connection
    told = _told(connection, station)
    height = max(orders.height_of(connection, station), 1 if told else 0)
    files = {"succession": encode(told).decode(), "log/cursor": f"{height} {database.hub_id}\n"}
    if papers.calibration:
        files["calibration.toml"] = papers.calibration
    if papers.rules_version:
        text = next(iter(papers.files.values()), "")
        order = orders.rules_of(connection, station, papers.rules_version)
        files["hub-rules"] = encode(
            order or RulesOrder(VERSION, papers.rules_version, station, papers.t, "", text)).decode()
    if newest := orders.newest_stamp(connection, station):
        files["commands"] = encode({"forgotten": newest}).decode()
    return files


def _told(connection: sqlite3.Connection, station: str) -> list[Detection]:
    """The newest of every rule and series: from the warnings, and from what has landed and is not there yet."""
    newest: dict[tuple[str, str], Detection] = {}
    for warning in warnings_kept.everything(connection):
        for episode in (*warning.earlier.values(), *warning.episodes.values()):
            if episode.station == station:
                _keep(newest, _detection(episode, warning.hazard))
    rows = connection.execute(    # by the index of detections, which are few, not by that of a station's records
        "SELECT raw FROM landing WHERE +station = ? AND kind = 'detection' ORDER BY id", (station,))
    for (raw,) in rows:
        record = record_of(raw)
        if isinstance(record, Detection):
            _keep(newest, msgspec.structs.replace(record, boot=_NO_BOOT, seq=0))
    return list(newest.values())


def _keep(newest: dict[tuple[str, str], Detection], found: Detection) -> None:
    known = newest.get((found.rule, found.series))
    if known is None or found.revision > known.revision:
        newest[found.rule, found.series] = found


def _detection(episode: Episode, hazard: Hazard) -> Detection:
    return Detection(
        _NO_BOOT, 0, episode.changed_at, episode.series, episode.rule, hazard, episode.level, 0, episode.revision,
        episode.id, episode.since, episode.stage, episode.authority, episode.value, episode.threshold, episode.over_s,
        episode.hold_s, episode.feature, episode.target)


def _config(text: str, key: str, public_key: str, broker: str) -> tuple[str, list[Said]]:
    """The station file with its new secrets, and which ones a person must fill in. Raises SuccessionError."""
    found = _HUB_TABLE.search(text)
    table = found.group() if found else ""
    table = _with(table, "key", key)
    table = _with(table, "public_key", public_key)
    if broker:
        table = _with(table, "broker", broker)
    text = text[: found.start()] + table + text[found.end() :] if found else text
    try:
        hub = convert(tomllib.loads(text), _Sent).hub
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as err:
        raise SuccessionError(say("unread", why=err)) from err
    if (hub.get("key"), hub.get("public_key")) != (key, public_key) or (broker and hub.get("broker") != broker):
        raise SuccessionError(say("keys"))
    if urlsplit(str(hub.get("broker", ""))).password == NOT_SENT:
        raise SuccessionError(say("password"))
    to_do = [say("fill_in", name=name) for name, value in hub.items() if value == NOT_SENT]
    return text, to_do + [say("put_there", file=hub[name], name=name)
                          for name in _TLS_FILES if hub.get(name)]


def _with(table: str, name: str, value: str) -> str:
    """The table with that key; a new line behind its header where there was none."""
    line = f"{name} = {json.dumps(value, ensure_ascii=False)}"
    changed, count = re.subn(rf'^{name}\s*=\s*"[^"\n]*"', lambda _: line, table, count=1, flags=re.MULTILINE)
    return changed if count else re.sub(r"\n", lambda _: f"\n{line}\n", table, count=1)


def _beside(name: str) -> str:
    """A name that lies in the station's folder, whatever the papers say."""
    path = PurePosixPath(name)
    if not name.isprintable() or path.name in {"", ".."}:
        return "file"
    return path.name if path.is_absolute() or ".." in path.parts else name
