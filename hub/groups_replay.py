"""`tocsin replay groups.toml hub.toml`: what these group rules would have decided on what a hub has landed.

`tocsin replay hub.toml` alone: what the hub's own group rules decided, found again from its log. Looks, and changes
nothing.
"""

import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import tzinfo
from pathlib import Path

import msgspec

from hub import groups_log
from hub.config import load_hub
from hub.groups import Rebuild, run
from hub.groups_file import groups_of, load_groups
from hub.groups_inputs import Heard, Input, Landed, Ruled, Started, Ticked
from hub.groups_kept import READER, Basis, Kept, basis
from hub.groups_rebuild import rebuilt
from hub.groups_rules import GROUP, Group
from hub.groups_state import Decision, State
from hub.landing import cursor_of
from thresholds.replay.history import HistoryError
from tocsin.config import ConfigError
from tocsin.levels import Level
from tocsin.messages import encode
from tocsin.times import utc


class Own(msgspec.Struct, frozen=True):
    """Decisions with the moment (ms UTC) from which the log gives them, 0 where all is there; `same`: as the hub's."""

    decisions: list[Decision]
    since_ms: int = 0
    same: bool = True


def replayed(connection: sqlite3.Connection) -> list[bytes]:
    """Every decision that the log gives, in its exact bytes: landed records and logged inputs, in their order; what was
    found afterwards stands last."""
    return [encode(one) for one in sorted(_again(connection, basis_of(connection)), key=lambda one: one.rebuilt)]


def basis_of(connection: sqlite3.Connection) -> Basis:
    """Where a replay begins: from there on landing holds everything, unless the file is older than such a place."""
    found = basis(connection)
    if found is not None:
        return found
    first = next((after for _, after, _ in groups_log.inputs(connection)), 0)
    return Basis(first, 0, Kept(State(), {}, 0, 0))


def judged(connection: sqlite3.Connection, groups: Sequence[Group], too_old_ms: int) -> Iterator[Decision]:
    """What other rules would have decided on what is landed."""
    state, begun, read_to = State(), False, 0
    starts = deque((after, one) for _, after, one in groups_log.inputs(connection) if isinstance(one, Started | Heard))
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM landing").fetchone()
    while rows := groups_log.rows_after(connection, read_to, last):
        inputs: list[Input] = []
        if not begun:
            inputs.append(Ruled(rows[0][1].at, {}))
            begun = True
        for number, row in rows:
            while starts and starts[0][0] < number:
                inputs.append(starts.popleft()[1])
            inputs.append(row)
        read_to = rows[-1][0]
        state, actions = run(state, inputs, groups, too_old_ms)
        yield from _decisions(connection, actions, groups)
    _, actions = run(state, [Ticked(state.t)], groups, too_old_ms)
    yield from _decisions(connection, actions, groups)


def own(connection: sqlite3.Connection) -> Own:
    """What the hub's own rules decided, found again. What was found afterwards is not compared: it looks at hours
    before the moment it was asked, of which landing may hold no more."""
    begun = basis_of(connection)
    decisions = list(_again(connection, begun))
    there = groups_log.decided(connection, begun.decisions)
    same = [encode(one) for one in decisions if not one.rebuilt] == [
        one for one in there if not msgspec.json.decode(one, type=Decision).rebuilt]
    return Own(decisions, begun.kept.state.t if begun.decisions or begun.kept.inputs else 0, same)


def replay_hub(rules: Path | None, hub: Path) -> Own:
    """Of the hub that this hub.toml describes. Raises ConfigError or HistoryError."""
    config = load_hub(hub)
    groups = load_groups(rules) if rules is not None else ()
    path = Path(config.hub.data) / "hub.sqlite"
    if not path.exists():
        raise HistoryError(f"{hub}: {path} is not there; has this hub ever run here?")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)) as connection:
            connection.execute("BEGIN")    # one moment of a hub that runs
            if rules is None:
                return own(connection)
            return Own(list(judged(connection, groups, round(config.call.too_old_s * 1000))))
    except sqlite3.Error as err:
        raise HistoryError(f"{path}: cannot be read: {err}") from err


def run_command(rules: Path | None, hubs: Sequence[Path], zone: tzinfo, *, as_json: bool) -> Iterator[str]:
    """The lines of the answer. Raises ConfigError or HistoryError."""
    if not hubs:
        raise ConfigError([f"{rules}: holds group rules; name a hub.toml whose landed records they shall judge"])
    for hub in hubs:
        found = replay_hub(rules, hub)
        if found.since_ms and not as_json:
            since = f"{utc(found.since_ms).astimezone(zone):%Y-%m-%d %H:%M:%S}"
            yield f"{hub}: from {since} on, as far as its log goes. 自 {since} 起（接收记录所及）。"
        if not found.decisions and not as_json:
            yield f"{hub}: no group rule would have decided anything. 没有组合规则触发。"
        for one in found.decisions:
            yield encode(one).decode() if as_json else _line(one, zone)
        if not found.same:
            raise HistoryError(f"{hub}: these are not the decisions that the hub took; was it another version then? "
                               "与中心当时的判定不一致；当时是否为其他版本？")


def _again(connection: sqlite3.Connection, begun: Basis) -> Iterator[Decision]:
    state, too_old_ms, read_to = begun.kept.state, begun.kept.too_old_ms, begun.after
    groups = groups_of(begun.kept.tables, "the rules of that time") if begun.kept.tables else ()
    for _, after, one in list(groups_log.inputs(connection, begun.kept.inputs)):
        for rows in _rows(connection, read_to, after):
            state, actions = run(state, rows, groups, too_old_ms)
            yield from _decisions(connection, actions, groups)
        read_to = after
        if isinstance(one, Ruled):
            groups, too_old_ms = groups_of(one.tables, "the rules of that time"), one.too_old_ms
        state, actions = run(state, [one], groups, too_old_ms)
        yield from _decisions(connection, actions, groups)
    for rows in _rows(connection, read_to, max(read_to, cursor_of(connection, READER))):
        state, actions = run(state, rows, groups, too_old_ms)
        yield from _decisions(connection, actions, groups)


def _rows(connection: sqlite3.Connection, after: int, last: int) -> Iterator[list[Landed]]:
    while rows := groups_log.rows_after(connection, after, last):
        yield [row for _, row in rows]
        after = rows[-1][0]


def _decisions(
    connection: sqlite3.Connection, actions: Sequence[Decision | Rebuild], groups: Sequence[Group]
) -> Iterator[Decision]:
    for action in actions:
        if isinstance(action, Rebuild):
            yield from rebuilt(connection, action, groups)
        else:
            yield action


def _line(one: Decision, zone: tzinfo) -> str:
    members = ", ".join(
        f"{member.station.removeprefix(GROUP)} {'silent' if member.silent else Level(member.level).word}"
        for member in one.members)
    marks = [word for word, holds in (("shadow", one.shadow), ("from late history", one.rebuilt)) if holds]
    level = Level(one.level)
    text = f"{utc(one.at).astimezone(zone):%Y-%m-%d %H:%M:%S}  {level.word:<7} {one.group}"
    return text + (f": {members}" if members else "") + (f" ({', '.join(marks)})" if marks else "")
