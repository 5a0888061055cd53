"""What the hub counts, as Prometheus reads it: names by its conventions, base units, one place for all parts.

Parts count by themselves (`counts`); a count that this module does not know by name is `tocsin_hub_<part>_total` with
its words as `event`, so that a new one is never lost.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from hub.health import Health, Look
from hub.intake import NO_ROOM
from hub.nightly import Last
from tocsin import __version__

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STALE_S = 900.0

# by indexes alone: both tables hold all years
OPEN = "SELECT count(*) FROM warnings WHERE json_extract(state, '$.state') = 'open'"
OUTBOX = "SELECT channel, state, count(*) FROM outbox GROUP BY channel, state"

# counts with a name of their own: part, what it counts, name, text
_COUNTERS = (
    ("intake", "landed", "records_landed", "Records that landed."),
    ("intake", "repeated", "records_repeated", "Records that were known already."),
    ("intake", "clone", "records_clone", "Records whose id was also that of another content: a cloned card."),
    ("intake", "held: unknown station", "messages_held", "Messages of stations that wait for approval."),
    ("intake", NO_ROOM, "messages_no_room", "Messages that stations must send again: the disk was too full."),
    ("forwarder", "forwarded", "points_forwarded", "Points that the store took."),
    ("forwarder", "refused", "points_refused", "Points that the store refused; they are in quarantine."),
    ("forwarder", "beyond retention", "points_expired", "Points older than the store keeps any."),
    ("forwarder", "failed", "store_failures", "Writes to the store that are tried again."),
)
_GAUGES = (
    ("intake", "disk short", "disk_short", "1 while readings wait at their stations for room on the disk."),
    ("groups", "rules", "group_rules", "Group rules in force."),
)
# counts of which a part of the name is a label: part, what the name begins with, label, name, text
_FAMILIES = (
    ("intake", "quarantined: ", "reason", "quarantined", "Messages and records refused."),
    ("pruner", "pruned by ", "why", "landing_pruned", "Landed records deleted, their readers being done."),
)


@dataclass(frozen=True, slots=True)
class Rows:
    """What the database says for one scrape. `heard`, `clones`: ms UTC by enrolled station, 0 is never; `strangers`:
    stations that speak and wait for approval."""

    heard: Mapping[str, int] = field(default_factory=dict)
    clones: Mapping[str, int] = field(default_factory=dict)
    quarantine: Mapping[str, int] = field(default_factory=dict)
    outbox: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    open_warnings: int = 0
    strangers: int = 0


@dataclass(frozen=True, slots=True)
class Scrape:
    """All that one answer is made of."""

    hub_id: str
    now_ms: int
    counts: Mapping[str, Mapping[str, int]]
    look: Look
    health: Health
    rows: Rows
    connected: bool
    last_backup: Last


def read_rows(path: Path, stations: Sequence[str]) -> Rows:
    """Over a connection of its own: landing must not wait for a scrape. Raises sqlite3.Error."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return _rows(connection, stations)


def _rows(connection: sqlite3.Connection, stations: Sequence[str]) -> Rows:
    found = {row[0]: row for row in connection.execute("SELECT id, heard_at, clone_at FROM stations")}
    (open_warnings,) = connection.execute(OPEN).fetchone()
    (strangers,) = connection.execute("SELECT count(*) FROM strangers").fetchone()
    outbox = connection.execute(OUTBOX)
    return Rows(
        heard={station: found[station][1] if station in found else 0 for station in stations},
        clones={station: found[station][2] for station in stations if station in found and found[station][2]},
        quarantine=dict(connection.execute("SELECT reason, count(*) FROM quarantine GROUP BY reason").fetchall()),
        outbox={(channel, state): count for channel, state, count in outbox},
        open_warnings=int(open_warnings),
        strangers=int(strangers),
    )


def exposition(scrape: Scrape) -> bytes:
    """The text format, version 0.0.4."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Hub(scrape))
    return generate_latest(registry)


class _Hub(Collector):
    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape

    def collect(self) -> Iterator[Metric]:
        one = self._scrape
        yield InfoMetricFamily("tocsin_hub", "The program, and the id of its data.",
                               value={"version": __version__, "hub": one.hub_id})
        yield _gauge("tocsin_hub_ready", "1 if the hub can do its work.", one.health.ready)
        yield _gauge("tocsin_hub_troubles", "Things that somebody should look at.", len(one.health.troubles))
        yield from _counters(one.counts)
        yield from _landing(one.look)
        yield from _stations(one)
        yield from _broker(one)
        yield _labelled("tocsin_hub_quarantined_rows", "Kept in quarantine.", ["reason"],
                        {(reason,): count for reason, count in one.rows.quarantine.items()})
        yield _labelled("tocsin_hub_outbox_rows", "Bulletins in the outbox.", ["channel", "state"], one.rows.outbox)
        yield _gauge("tocsin_hub_warnings_open", "Warnings that are open.", one.rows.open_warnings)
        yield _gauge("tocsin_hub_backup_last_success_timestamp_seconds", "The last nightly backup, 0 for never.",
                     one.last_backup.done / 1000)
        yield _gauge("tocsin_hub_backup_failed", "1 if the last nightly backup failed.", bool(one.last_backup.error))


def _counters(counts: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    left = {part: dict(events) for part, events in counts.items()}
    for part, event, name, text in _COUNTERS:
        yield CounterMetricFamily(f"tocsin_hub_{name}", text, value=left.get(part, {}).pop(event, 0))
    for part, event, name, text in _GAUGES:
        yield _gauge(f"tocsin_hub_{name}", text, left.get(part, {}).pop(event, 0))
    for part, start, label, name, text in _FAMILIES:
        events = left.get(part, {})
        found = {event.removeprefix(start): events.pop(event) for event in list(events) if event.startswith(start)}
        yield _counted(f"tocsin_hub_{name}", text, [label], {(word,): count for word, count in found.items()})
    sent: dict[tuple[str, ...], int] = {
        (channel, outcome): count for name, count in left.pop("dispatch", {}).items()
        for channel, _, outcome in [name.rpartition(" ")]}
    yield _counted("tocsin_hub_dispatch", "Bulletins by channel.", ["channel", "outcome"], sent)
    for part, events in left.items():
        yield _counted(f"tocsin_hub_{_word(part)}", f"What {part} counts.", ["event"],
                       {(event,): count for event, count in events.items()})


def _counted(name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for words, value in sorted(values.items()):
        family.add_metric(list(words), value)
    return family


def _landing(look: Look) -> Iterator[Metric]:
    yield _gauge("tocsin_hub_landing_records", "Records held in landing.", look.landed)
    yield _gauge("tocsin_hub_landing_unforwarded_records", "Of these, not in the store yet.", look.unforwarded)
    yield _gauge("tocsin_hub_store_lag_seconds", "Age of the oldest record that the store has not.", look.unforwarded_s)
    yield _gauge("tocsin_hub_desk_lag_seconds", "Age of the oldest detection or answer not decided on.",
                 look.undecided_s)
    yield _gauge("tocsin_hub_database_bytes", "Size of hub.sqlite and its log.", look.database_bytes)
    yield _gauge("tocsin_hub_disk_free_bytes", "Free on the disk of the data.", look.disk_free)


def _stations(one: Scrape) -> Iterator[Metric]:
    heard = one.rows.heard
    stale = sum(0 < at < one.now_ms - STALE_S * 1000 for at in heard.values())
    never = sum(at == 0 for at in heard.values())
    yield _labelled("tocsin_hub_stations", f"Enrolled stations; stale: not heard for {STALE_S:g} s.", ["state"],
                    {("heard",): len(heard) - stale - never, ("stale",): stale, ("never",): never})
    yield _gauge("tocsin_hub_stations_held", "Stations that speak and wait for approval.", one.rows.strangers)
    yield _labelled("tocsin_station_heard_timestamp_seconds", "When a station was last heard, 0 for never.",
                    ["station"], {(station,): at / 1000 for station, at in heard.items()})
    yield _labelled("tocsin_station_clone_timestamp_seconds", "When two records of a station last had one id.",
                    ["station"], {(station,): at / 1000 for station, at in one.rows.clones.items()})


def _broker(one: Scrape) -> Iterator[Metric]:
    yield _gauge("tocsin_hub_broker_connected", "1 if the hub is connected to its broker.", one.connected)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))


def _labelled(name: str, text: str, labels: list[str], values: Mapping[tuple[str, ...], float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for words, value in sorted(values.items()):
        family.add_metric(list(words), float(value))
    return family


def _word(part: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in part)
