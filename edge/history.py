"""An agent's log as a history for `tocsin replay`: the readings of its data folder, and what it decided itself."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.entries import record_in
from edge.own_log import replayed
from edge.recorder import KINDS
from thresholds.replay.choice import Choice
from thresholds.replay.gather import Gatherer, judged
from thresholds.replay.history import History, HistoryError
from thresholds.rule import Rule, Rules
from thresholds.series import Series
from tocsin.inputs import Config
from tocsin.log import Entry, read_log, segments_of
from tocsin.messages import Detection, Readings, Record, Start
from tocsin.quantities import QUANTITIES

_CARDS = {KINDS[Start], KINDS[Config]}


@dataclass(frozen=True, slots=True)
class Own:
    """What a station decided, found again from the inputs in its log. `same`: it had told exactly that.

    `whole`: no record of the log is damaged or missing, but for those that went when it was near its limit.
    `quantities` are those that rules judge, by the rule's name.
    """

    station: str
    decided: list[Detection]
    same: bool
    whole: bool
    notes: list[str]
    quantities: dict[str, str]


def histories(path: Path, rules: Rules, choice: Choice) -> Iterator[History]:
    """The readings of a station's data folder that these rules judge. Raises HistoryError or OSError."""
    name, series = _described(path)
    if choice.station not in {"", name}:
        raise HistoryError(f'{path}: is the log of station "{name}", not of "{choice.station}"')
    gatherer = Gatherer(name, judged(series, rules))
    if not gatherer.series:
        wanted = ", ".join(sorted({rule.quantity for rule in rules.rules}))
        raise HistoryError(f"{path}: no series of {name} is what a rule of {rules.place} judges ({wanted}); "
                           f"it has {', '.join(one.key for one in series) or 'none'}")
    for record in _records(path, {KINDS[Readings]}):
        if isinstance(record, Readings):
            gatherer.take(record.t, record.series, record.value, record.quality)
    yield gatherer.history()


def own(path: Path) -> Own:
    """What the station of this data folder decided. Raises HistoryError or OSError."""
    station, _ = _described(path)
    found = replayed(path)
    notes = [*found.parted, *found.damage]
    if found.skipped:
        notes.append(f"{found.skipped} records of readings are older than the first known rules; they are left out")
    if found.thinned:
        notes.append(f"{found.thinned} records went to make room; what was decided there is left out")
    same, whole = found.decided == found.told, not (found.parted or found.damage)
    return Own(station, found.decided, same, whole, notes, _quantities(path))


def _quantities(path: Path) -> dict[str, str]:
    """What each rule that was ever in force judges, by its name."""
    found: dict[str, str] = {}
    for record in _records(path, {KINDS[Config]}):
        for raw in record.rules.rules if isinstance(record, Config) else []:
            with suppress(msgspec.DecodeError):    # of another version
                rule = msgspec.json.decode(raw, type=Rule)
                found[rule.name] = rule.quantity
    return found


def _described(path: Path) -> tuple[str, list[Series]]:
    """The station's name, and every series that its log describes, as it was described last."""
    name = ""
    series: dict[str, Series] = {}
    for record in _records(path, _CARDS):
        if isinstance(record, Config):
            name = record.station
            series |= {one.key: one for one in (msgspec.json.decode(raw, type=Series) for raw in record.series)}
        elif isinstance(record, Start):
            series = {one.key: _of_card(one.key, one.quantity, one.period_s, one.plausible, one.datum)
                      for one in record.card.series if one.quantity in QUANTITIES} | series
            name = name or record.card.name
    if not name:
        raise HistoryError(f"{path}: its log does not say which station it is of")
    return name, list(series.values())


def _of_card(key: str, quantity: str, period_s: float, plausible: tuple[float, float], datum: str) -> Series:
    return Series(key, quantity, max(1, round(period_s * 1000)), plausible, datum)


def _records(path: Path, kinds: set[int]) -> Iterator[Record]:
    """Records of these kinds; those that cannot be read are left out. Raises HistoryError where there is no log."""
    for entry in _entries(path):
        if entry.kind in kinds and (record := record_in(entry)) is not None:
            yield record


def _entries(path: Path) -> Iterator[Entry]:
    if not (path / "log").is_dir():
        raise HistoryError(f"{path}: is no station's data folder: it has no folder named log")
    if not segments_of(path / "log"):
        raise HistoryError(f"{path}: its folder log holds nothing yet")
    return read_log(path / "log")
