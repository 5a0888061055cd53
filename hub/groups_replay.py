"""`tocsin replay groups.toml hub.toml`: what these group rules would have decided on what a hub has landed.

`tocsin replay hub.toml` alone: what the hub's own group rules decided, found again from its log. Looks, and changes
nothing.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import tzinfo
from pathlib import Path

from hub import groups_log
from hub.config import load_hub
from hub.groups import Rebuild, run
from hub.groups_file import groups_of, load_groups
from hub.groups_inputs import Heard, Input, Landed, Ruled, Started, Ticked
from hub.groups_rebuild import rebuilt
from hub.groups_rules import GROUP, Group
from hub.groups_state import Decision, State
from hub.landing import cursor_of
from thresholds.replay.history import HistoryError
from tocsin.config import ConfigError
from tocsin.levels import Level
from tocsin.messages import encode
from tocsin.times import utc


def replayed(connection: sqlite3.Connection) -> list[bytes]:
    """Every decision that the log gives, in its exact bytes: landed records and logged inputs, in their order."""
    return [encode(one) for one in _again(connection)]


def judged(connection: sqlite3.Connection, groups: Sequence[Group], too_old_ms: int) -> Iterator[Decision]:
    """What other rules would have decided on what is landed."""
    state, begun, read_to = State(), False, 0
    starts = [(after, one) for _, after, one in groups_log.inputs(connection) if isinstance(one, Started | Heard)]
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM landing").fetchone()
    while rows := groups_log.rows_after(connection, read_to, last):
        inputs: list[Input] = []
        if not begun:
            inputs.append(Ruled(rows[0][1].at, {}))
            begun = True
        for number, row in rows:
            inputs += [one for after, one in starts if read_to <= after < number]
            starts = [(after, one) for after, one in starts if after >= number]
            inputs.append(row)
        read_to = rows[-1][0]
        state, actions = run(state, inputs, groups, too_old_ms)
        yield from _decisions(connection, actions, groups)
    _, actions = run(state, [Ticked(state.t)], groups, too_old_ms)
    yield from _decisions(connection, actions, groups)


def replay_hub(rules: Path | None, hub: Path) -> list[Decision]:
    """Of the hub that this hub.toml describes. Raises ConfigError or HistoryError."""
    config = load_hub(hub)
    groups = load_groups(rules) if rules is not None else ()
    path = Path(config.hub.data) / "hub.sqlite"
    if not path.exists():
        raise HistoryError(f"{hub}: {path} is not there; has this hub ever run here?")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)) as connection:
            if rules is None:
                return list(_again(connection))
            return list(judged(connection, groups, round(config.call.too_old_s * 1000)))
    except sqlite3.Error as err:
        raise HistoryError(f"{path}: cannot be read: {err}") from err


def run_command(rules: Path | None, hubs: Sequence[Path], zone: tzinfo, *, as_json: bool) -> Iterator[str]:
    """The lines of the answer. Raises ConfigError or HistoryError."""
    if not hubs:
        raise ConfigError([f"{rules}: holds group rules; name a hub.toml whose landed records they shall judge"])
    for hub in hubs:
        decisions = replay_hub(rules, hub)
        if not decisions and not as_json:
            yield f"{hub}: no group rule would have decided anything. 没有组合规则触发。"
        for one in decisions:
            yield encode(one).decode() if as_json else _line(one, zone)


def _again(connection: sqlite3.Connection) -> Iterator[Decision]:
    state, groups, too_old_ms = State(), tuple[Group, ...](), 0
    read_to = next((after for _, after, _ in groups_log.inputs(connection)), -1)
    if read_to < 0:
        return
    for _, after, one in list(groups_log.inputs(connection)):
        for rows in _rows(connection, read_to, after):
            state, actions = run(state, rows, groups, too_old_ms)
            yield from _decisions(connection, actions, groups)
        read_to = after
        if isinstance(one, Ruled):
            groups, too_old_ms = groups_of(one.tables, "the rules of that time"), one.too_old_ms
        state, actions = run(state, [one], groups, too_old_ms)
        yield from _decisions(connection, actions, groups)
    for rows in _rows(connection, read_to, max(read_to, cursor_of(connection, groups_log.READER))):
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
