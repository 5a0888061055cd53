"""Where the rules in force come from: the station's own file, or what the hub has sent. The last good ones are kept.

In the data folder: `hub-rules` are the newest rules that came from the hub and were taken, with their version. They
win over the station's own file for as long as the station has a hub's public key. `good-rules` are those that were in
force last, whoever they came from: an agent that starts on a broken file takes them, and says so.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from thresholds.binding import bind
from thresholds.plan import Plan
from thresholds.rule import Rules
from thresholds.rules import load_rules, rules_of
from thresholds.series import Series
from tocsin.config import ConfigError, tables_of
from tocsin.log import replace_file
from tocsin.messages import encode
from tocsin.orders import RulesOrder

HUB_RULES = "hub-rules"
GOOD_RULES = "good-rules"


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """Where a station's rules stand: names beside `place`, and the data folder. `hub`: may the hub send any?"""

    place: Path
    rules: str
    shadow_rules: str
    folder: Path
    hub: bool


@dataclass(frozen=True, slots=True)
class Source:
    """Rules bound to the station's series, and their text. `version` is the hub's; 0 for the station's own file.

    `problems` say why these were taken and not those that should be in force.
    """

    plan: Plan
    candidate: Plan | None
    text: str
    version: int = 0
    problems: tuple[str, ...] = ()


class _Good(msgspec.Struct, frozen=True):
    version: int
    text: str


def own_source(files: RuleFiles, series: Sequence[Series]) -> Source:
    """The station's own file, whatever the hub has sent. Raises ConfigError with every problem."""
    problems = own_problems(files)
    if problems:
        raise ConfigError(problems)
    place = files.place.parent / files.rules
    text = place.read_text(encoding="utf-8")
    return Source(bind(_parsed(text, str(place)), series), _candidate(files, series), text)


def read_source(files: RuleFiles, series: Sequence[Series]) -> Source:
    """What should be in force now. Raises ConfigError with every problem."""
    order = kept_order(files)
    return own_source(files, series) if order is None else source_of(order, files, series)


def on_series(source: Source, series: Sequence[Series]) -> Source:
    """The same rules on series that are scaled otherwise. Raises ConfigError where they do not fit."""
    candidate = bind(source.candidate.rules, series) if source.candidate else None
    return replace(source, plan=bind(source.plan.rules, series), candidate=candidate)


def source_of(order: RulesOrder, files: RuleFiles, series: Sequence[Series]) -> Source:
    """The hub's rules. Raises ConfigError with every problem."""
    rules = _parsed(order.text, f"rules version {order.version} of the hub")
    return Source(bind(rules, series), _candidate(files, series), order.text, order.version)


def source_at_start(files: RuleFiles, series: Sequence[Series]) -> Source:
    """What should be in force; where that is broken, the last good ones. Raises ConfigError where there are none."""
    try:
        return read_source(files, series)
    except ConfigError as err:
        problems = err.problems
    alone = replace(files, shadow_rules="")    # a candidate is not worth a silent station
    tries: list[Callable[[], Source]] = [
        lambda: read_source(alone, series), lambda: _good_source(files, series), lambda: own_source(alone, series)]
    for attempt in tries:
        with suppress(ConfigError):
            return replace(attempt(), problems=tuple(problems))
    raise ConfigError(problems)


def own_problems(files: RuleFiles) -> list[str]:
    """What is wrong with the station's own rules file and that of its candidate, before they meet any series."""
    problems: list[str] = []
    for key, name in (("rules", files.rules), ("shadow_rules", files.shadow_rules)):
        try:
            if name:
                load_rules(files.place.parent / name)
        except ConfigError as err:
            missing = (f'{files.place}: station: {key}: "{name}" is not there; '
                       "name a file beside this one, or its whole path")
            problems += [missing] if isinstance(err.__cause__, FileNotFoundError) else err.problems
    return problems


def kept_order(files: RuleFiles) -> RulesOrder | None:
    """The newest rules of the hub that were taken; None where there are none, or the station takes none.

    Raises ConfigError for a file that cannot be read.
    """
    if not files.hub:
        return None
    place = files.folder / HUB_RULES
    try:
        return msgspec.json.decode(place.read_bytes(), type=RulesOrder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        raise ConfigError([f"{place}: cannot be read: {err}"]) from err


def keep_order(files: RuleFiles, order: RulesOrder) -> None:
    """Before they are in force: the next start must have them. Raises OSError."""
    files.folder.mkdir(parents=True, exist_ok=True)
    replace_file(files.folder / HUB_RULES, encode(order), sync=True)


def put_back(files: RuleFiles, source: Source) -> None:
    """Of the hub's rules that were kept nothing came: what is in force is what the next start finds. Raises OSError."""
    if source.version:
        keep_order(files, RulesOrder(1, source.version, "", 0, "", source.text))
    else:
        (files.folder / HUB_RULES).unlink(missing_ok=True)


def keep_good(folder: Path, source: Source) -> None:
    """They are in force. Raises OSError."""
    place, content = folder / GOOD_RULES, encode(_Good(source.version, source.text))
    with suppress(OSError):
        if place.read_bytes() == content:
            return
    replace_file(place, content, sync=True)


def _good_source(files: RuleFiles, series: Sequence[Series]) -> Source:
    place = files.folder / GOOD_RULES
    try:
        good = msgspec.json.decode(place.read_bytes(), type=_Good)
    except (OSError, ValueError) as err:
        raise ConfigError([f"{place}: cannot be read: {err}"]) from err
    return Source(bind(_parsed(good.text, str(place)), series), None, good.text, good.version)


def _candidate(files: RuleFiles, series: Sequence[Series]) -> Plan | None:
    return bind(load_rules(files.place.parent / files.shadow_rules), series) if files.shadow_rules else None


def _parsed(text: str, place: str) -> Rules:
    return rules_of(tables_of(text, place), place)
