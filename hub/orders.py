"""What stations are told to do, on the disk: rules with their versions, commands with their states, and who wanted it.

Everything is written before it is sent, and every step stands in `order_journal`. `tocsin send` writes here while the
hub runs; hub.courier carries it out. Each function works inside a transaction of its caller.
"""

import secrets
import sqlite3
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from hub.sayings import say
from tocsin.messages import VERSION, encode
from tocsin.orders import (
    LARGEST_VERSION,
    LONGEST_COMMAND_MS,
    LONGEST_TEXT,
    Command,
    Obeyed,
    Papers,
    RulesOrder,
    RulesState,
)
from tocsin.said import Said, SaidError

_RULES = msgspec.json.Decoder(RulesOrder)
_STATE = msgspec.json.Decoder(RulesState)
_PAPERS = msgspec.json.Decoder(Papers)


class CommandState(StrEnum):
    """Where a command stands."""

    WAITS = "waits"      # the station has not been reached
    SENT = "sent"        # the broker has it
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"  # without an answer


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command; `answered` is when the answer landed, ms UTC, 0 before. `said_zh` is "" where it is as `said`."""

    id: str
    station: str
    who: str
    ask: str
    issued: int
    expires: int
    state: CommandState
    answered: int
    said: str
    said_zh: str = ""

    @property
    def words(self) -> Said:
        return Said(self.said, self.said_zh or self.said)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the journal of orders. `t` is ms UTC."""

    t: int
    what: str
    who: str
    detail: str


@dataclass(frozen=True, slots=True)
class StationOrders:
    """What a station was told and what it said: rules, and the newest commands first.

    `sent` is the newest version of rules (0: none) by `who` at `sent_at`; `state` is None until the station spoke.
    """

    sent: int
    who: str
    sent_at: int
    state: RulesState | None
    commands: list[CommandRow]

    @property
    def waits(self) -> bool:
        """Whether the station has not yet spoken of the newest rules."""
        return waits(self.state, self.sent)


_ROW = ("id, station, who, ask, issued, expires, state, answered, said,"
        " coalesce((SELECT answers_zh.said FROM answers_zh WHERE command = commands.id), '')")


def note(connection: sqlite3.Connection, t: int, station: str, what: str, who: str, detail: str) -> None:
    connection.execute("INSERT INTO order_journal (t, station, what, who, detail) VALUES (?, ?, ?, ?, ?)",
                       (t, station, what, who, detail))


def journal_of(connection: sqlite3.Connection, station: str, most: int) -> list[Step]:
    """The newest first."""
    rows = connection.execute(
        "SELECT t, what, who, detail FROM order_journal WHERE station = ? ORDER BY id DESC LIMIT ?", (station, most))
    return [Step(*row) for row in rows]


# commands


def put_command(
    connection: sqlite3.Connection, station: str, ask: dict[str, object], now_ms: int, lives_ms: int
) -> CommandRow:
    """A new one. `ask` is an edge.operate.Ask with its `who`. Raises SaidError."""
    if not 0 < lives_ms <= LONGEST_COMMAND_MS:
        raise SaidError(say("lives", minutes=lives_ms / 60_000, most=LONGEST_COMMAND_MS / 60_000))
    who, words = str(ask["who"]), encode(ask)
    # stations take it for a lower bound of time: were it ever to fall after the hub's clock was wrong, none would obey
    stamp = max(now_ms, newest_stamp(connection, station) + 1)
    command = Command(VERSION, secrets.token_hex(8), station, stamp, stamp + lives_ms, msgspec.Raw(words))
    connection.execute(
        "INSERT INTO commands (id, station, who, ask, body, issued, expires, stamp) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (command.id, station, who, words.decode(), encode(command), now_ms, now_ms + lives_ms, stamp))
    note(connection, now_ms, station, "command", who, f"{command.id}: {words.decode()}")
    return command_of(connection, command.id)


def newest_stamp(connection: sqlite3.Connection, station: str) -> int:
    """When its newest command was issued, as the command says; 0 where there is none."""
    (stamp,) = connection.execute(
        "SELECT coalesce(max(stamp), 0) FROM commands WHERE station = ?", (station,)).fetchone()
    return int(stamp)


def command_of(connection: sqlite3.Connection, command: str) -> CommandRow:
    return _row(connection.execute(f"SELECT {_ROW} FROM commands WHERE id = ?", (command,)).fetchone())  # noqa: S608


def commands_of(connection: sqlite3.Connection, station: str, most: int) -> list[CommandRow]:
    """The newest first."""
    rows = connection.execute(
        f"SELECT {_ROW} FROM commands WHERE station = ? ORDER BY issued DESC, id LIMIT ?", (station, most))  # noqa: S608
    return [_row(row) for row in rows]


def unanswered(connection: sqlite3.Connection, now_ms: int) -> list[tuple[str, str, bytes]]:
    """(id, station, body) of commands that can still be done, the oldest first."""
    return connection.execute(
        "SELECT id, station, body FROM commands WHERE state IN ('waits', 'sent') AND expires > ? ORDER BY issued, id",
        (now_ms,)).fetchall()


def mark_sent(connection: sqlite3.Connection, command: str, now_ms: int) -> None:
    found = connection.execute(
        "UPDATE commands SET state = 'sent' WHERE id = ? AND state = 'waits' RETURNING station, who",
        (command,)).fetchone()
    if found:
        note(connection, now_ms, found[0], "sent", found[1], command)


def overdue(connection: sqlite3.Connection, now_ms: int) -> bool:
    """Whether any has run out."""
    found = connection.execute(
        "SELECT 1 FROM commands WHERE state IN ('waits', 'sent') AND expires <= ? LIMIT 1", (now_ms,)).fetchone()
    return found is not None


def expire(connection: sqlite3.Connection, now_ms: int) -> int:
    """How many have run out; an answer that comes later still counts."""
    rows = connection.execute(
        "UPDATE commands SET state = 'expired' WHERE state IN ('waits', 'sent') AND expires <= ?"
        " RETURNING id, station, who", (now_ms,)).fetchall()
    for command, station, who in rows:
        note(connection, now_ms, station, "expired", who, command)
    return len(rows)


def take_answer(connection: sqlite3.Connection, station: str, answer: Obeyed, now_ms: int) -> None:
    """The first answer counts."""
    state = CommandState.DONE if answer.done else CommandState.REFUSED
    found = connection.execute(
        "UPDATE commands SET state = ?, answered = ?, said = ? WHERE id = ? AND station = ? AND answered = 0"
        " RETURNING who", (state, now_ms, answer.said, answer.id, station)).fetchone()
    if found:
        if answer.zh:
            connection.execute("INSERT OR REPLACE INTO answers_zh VALUES (?, ?)", (answer.id, answer.zh))
        words = " ".join(line for text in (answer.said, answer.zh) for line in text.split("\n", 1)[:1] if line)
        note(connection, now_ms, station, state, found[0], f"{answer.id}: {words}")


# rules


def waits(state: RulesState | None, version: int) -> bool:
    """Whether a station that said `state` has not spoken of that version."""
    return version > (max(state.version, state.refused) if state else 0)


def put_rules(connection: sqlite3.Connection, station: str, text: str, who: str, now_ms: int) -> int:
    """The new version: above all that were sent, and above what the station says it has. Raises SaidError."""
    if len(text) > LONGEST_TEXT:
        raise SaidError(say("too_long", length=len(text), most=LONGEST_TEXT))
    state, papers = state_of(connection, station), papers_of(connection, station)
    heard = max(state.version if state else 0, state.refused if state else 0, papers.rules_version if papers else 0)
    (sent,) = connection.execute(
        "SELECT coalesce(max(version), 0) FROM rules_sent WHERE station = ?", (station,)).fetchone()
    version = max(int(sent), heard) + 1
    if version >= LARGEST_VERSION:
        raise SaidError(say("no_number", version=version))
    order = RulesOrder(VERSION, version, station, now_ms, who, text)
    connection.execute("INSERT INTO rules_sent VALUES (?, ?, ?, ?, ?)", (station, version, who, now_ms, encode(order)))
    note(connection, now_ms, station, "rules", who, f"version {version}")
    return version


def rules_of(connection: sqlite3.Connection, station: str, version: int | None = None) -> RulesOrder | None:
    """That version, or the newest; None where there is none."""
    row = connection.execute(
        "SELECT body FROM rules_sent WHERE station = ?1 AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT 1",
        (station, version)).fetchone()
    return _RULES.decode(row[0]) if row else None


def versions_of(connection: sqlite3.Connection, station: str) -> list[tuple[int, str, int]]:
    """(version, who, time in ms UTC), the newest first."""
    return connection.execute(
        "SELECT version, who, t FROM rules_sent WHERE station = ? ORDER BY version DESC", (station,)).fetchall()


def read_orders(connection: sqlite3.Connection, station: str, most: int = 10) -> StationOrders:
    """For a page."""
    newest = next(iter(versions_of(connection, station)), (0, "", 0))
    return StationOrders(*newest, state_of(connection, station), commands_of(connection, station, most))


def take_state(connection: sqlite3.Connection, state: RulesState, now_ms: int) -> bool:
    """Whether it is news."""
    before = state_of(connection, state.station)
    if before == state:
        return False
    connection.execute("INSERT OR REPLACE INTO rules_states VALUES (?, ?)", (state.station, encode(state).decode()))
    if before is None or (before.version, before.refused) != (state.version, state.refused):
        why = f"; version {state.refused} refused: {'; '.join(state.problems)}" if state.refused else ""
        note(connection, now_ms, state.station, "rules state", "", f"version {state.version} is in force{why}")
    return True


def problems_of(state: RulesState) -> list[Said]:
    """Why its newest version was not taken; in English where the station says it so alone."""
    zh = state.problems_zh if len(state.problems_zh) == len(state.problems) else state.problems
    return [Said(*both) for both in zip(state.problems, zh, strict=True)]


def state_of(connection: sqlite3.Connection, station: str) -> RulesState | None:
    row = connection.execute("SELECT state FROM rules_states WHERE station = ?", (station,)).fetchone()
    return _STATE.decode(row[0]) if row else None


# what a successor needs


def take_papers(connection: sqlite3.Connection, station: str, papers: Papers) -> None:
    """Late history can bring older ones behind newer ones."""
    connection.execute(
        "INSERT INTO papers VALUES (?1, ?2, ?3) ON CONFLICT (station) DO UPDATE SET t = ?2, body = ?3 WHERE t <= ?2",
        (station, papers.t, encode(papers)))


def papers_of(connection: sqlite3.Connection, station: str) -> Papers | None:
    row = connection.execute("SELECT body FROM papers WHERE station = ?", (station,)).fetchone()
    return _PAPERS.decode(row[0]) if row else None


def keep_heights(connection: sqlite3.Connection, last_id: int) -> None:
    """Before landed records up to this id go. Inside the caller's transaction."""
    connection.execute(
        "INSERT INTO heights SELECT station, max(seq) FROM landing WHERE id <= ? GROUP BY station"
        " ON CONFLICT (station) DO UPDATE SET seq = excluded.seq WHERE seq < excluded.seq", (last_id,))


def height_of(connection: sqlite3.Connection, station: str) -> int:
    """0 where nothing was ever heard."""
    (seq,) = connection.execute(    # the highest of each run: of a long landing not every record is looked at
        "WITH RECURSIVE runs (boot) AS (SELECT min(boot) FROM landing WHERE station = ?1 UNION ALL SELECT"
        " (SELECT min(boot) FROM landing WHERE station = ?1 AND landing.boot > runs.boot) FROM runs"
        " WHERE runs.boot IS NOT NULL)"
        " SELECT max(coalesce((SELECT seq FROM heights WHERE station = ?1), 0),"
        " coalesce((SELECT max((SELECT max(seq) FROM landing WHERE station = ?1 AND landing.boot = runs.boot))"
        " FROM runs WHERE boot IS NOT NULL), 0),"
        " coalesce((SELECT card_seq FROM stations WHERE id = ?1), 0))", (station,)).fetchone()
    return int(seq)


def _row(row: tuple[str, str, str, str, int, int, str, int, str, str]) -> CommandRow:
    number, station, who, ask, issued, expires, state, answered, said, said_zh = row
    return CommandRow(number, station, who, ask, issued, expires, CommandState(state), answered, said, said_zh)
