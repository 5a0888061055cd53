"""Every episode that the hub was ever told of, one row each, in the order in which they became known.

A warning keeps only the newest episode of each rule; here all of them stay, so that one can look back for
years.
"""

import sqlite3
from collections.abc import Mapping

import msgspec

from hub.happened import EpisodeChanged, Event
from hub.model import Episode, Why
from hub.model import Warning as HubWarning
from hub.warnings import episode_of, key_of
from tocsin.levels import Hazard
from tocsin.messages import encode

_CHANGE = msgspec.json.Decoder(EpisodeChanged)

_PUT = """
INSERT INTO episodes (station, series, rule, episode, warning, area, hazard, level, peak, since, cleared, state)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11)
ON CONFLICT (station, series, rule, episode) DO UPDATE SET warning = excluded.warning, area = excluded.area,
level = excluded.level, peak = max(peak, excluded.peak), since = excluded.since, cleared = excluded.cleared,
state = excluded.state
"""


def keep(
    connection: sqlite3.Connection, before: HubWarning | None, after: HubWarning, event: Event | None = None
) -> None:
    """Inside the transaction of the step from `before` to `after`: what has changed about its episodes. `event` made
    it: a detection changes one alone."""
    known: Mapping[str, Episode] = before.episodes if before is not None and before.id == after.id else {}
    if known is after.episodes:
        return
    told = {key_of(event.station, event.detection)} if isinstance(event, EpisodeChanged) else after.episodes.keys()
    for key in told:
        episode = after.episodes[key]
        if (earlier := known.get(key)) is not episode and earlier != episode:
            _put(connection, after.id, after.area, after.hazard, episode)


def fill(connection: sqlite3.Connection) -> None:
    """Once, for a file from before this table: what its journal tells. Inside a transaction."""
    if connection.execute("SELECT 1 FROM episodes LIMIT 1").fetchone():
        return
    rows = connection.execute(
        "SELECT warning, why, event FROM journal WHERE json_extract(event, '$.what') = 'episode' ORDER BY id"
    ).fetchall()
    for warning, why, event in rows:
        change = _CHANGE.decode(event)
        episode = episode_of(change, historic=why == Why.HISTORIC)
        _put(connection, warning, change.area, change.detection.hazard, episode)


def _put(connection: sqlite3.Connection, warning: str, area: str, hazard: Hazard, episode: Episode) -> None:
    connection.execute(_PUT, (
        episode.station, episode.series, episode.rule, episode.id, warning, area, hazard, episode.level, episode.since,
        0 if episode.level else episode.changed_at, encode(episode).decode(),
    ))  # fmt: skip
