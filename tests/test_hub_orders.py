"""What the hub keeps of its orders, and how the courier carries them."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub import orders
from hub.checks import inspect
from hub.config import HubConfig
from hub.courier import LATE_MS, Courier
from hub.database import Database
from hub.landing import land
from hub.orders import CommandState
from hub.roster import Roster, enrol
from hub.send import Sender
from tests.village import Village, at, config, detection
from tocsin import topics
from tocsin.levels import Level
from tocsin.link import LinkDownError
from tocsin.messages import VERSION, Record, Upload, encode
from tocsin.orders import LONGEST_WAY, Command, Obeyed, Papers, RulesOrder, RulesState
from tocsin.said import Said
from tocsin.signing import new_signing_key, public_key_of, verify

STATION, MINUTE_MS, BOOT = "upper-bridge", 60_000, "00000000000000aa"
ASK: dict[str, object] = {"do": "levels", "who": "Zhao Min"}


class Desk:
    """A hub's database with a courier on a link that the test cuts."""

    def __init__(self, village: Village, config: HubConfig) -> None:
        self.village = village
        self.database = village.database
        self.roster = Roster(village.database, config.keys)
        self.sent: list[tuple[str, bytes, bool]] = []
        self.down = False
        self.changes = 0
        self.courier = Courier(village.database, config, self.roster, village.clock, self.publish, self._changed)

    def _changed(self) -> None:
        self.changes += 1

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if self.down:
            raise LinkDownError("cut")
        self.sent.append((topic, payload, retain))

    def put(self, lives_ms: int = 10 * MINUTE_MS, station: str = STATION) -> str:
        with self.database.transaction() as connection:
            return orders.put_command(connection, station, ASK, self.village.clock.now_ms(), lives_ms).id

    def rules(self, text: str, who: str = "Zhao Min") -> int:
        with self.database.transaction() as connection:
            return orders.put_rules(connection, STATION, text, who, self.village.clock.now_ms())

    def lands(self, record: Record, station: str = STATION) -> None:
        upload = encode(Upload(VERSION, station, [msgspec.Raw(encode(record))]))
        delivery = inspect(topics.up(station, topics.ANSWERS), upload, self.roster)
        assert not delivery.refused
        with self.database.transaction() as connection:
            land(connection, [delivery], self.village.clock.now_ms())

    def state(self, command: str) -> CommandState:
        return orders.command_of(self.database.connection, command).state

    @property
    def topics(self) -> list[str]:
        return [topic.rpartition("/")[2] for topic, _, _ in self.sent]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    village = Village(tmp_path)
    yield Desk(village, village.config)
    village.close()


def body_of(desk: Desk, number: int, kind: type[Any]) -> Any:
    topic, payload, _ = desk.sent[number]
    return msgspec.json.decode(verify(payload, topic, public_key_of(config().hub.private_key)), type=kind)


async def test_a_command_is_sent_signed_until_it_is_answered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    command = desk.put()
    assert desk.state(command) is CommandState.WAITS
    desk.down = True
    with pytest.raises(LinkDownError):
        await desk.courier.step()
    assert desk.state(command) is CommandState.WAITS
    desk.down = False
    await desk.courier.step()
    await desk.courier.step()
    assert (desk.topics, desk.state(command)) == (["command"], CommandState.SENT), "not at every look"
    sent = body_of(desk, 0, Command)
    assert (sent.id, sent.station, sent.expires - sent.issued) == (command, STATION, 10 * MINUTE_MS)
    loop = asyncio.get_running_loop()
    now_s = loop.time()
    monkeypatch.setattr(loop, "time", lambda: now_s + 11)
    await desk.courier.step()
    assert desk.sent[1] == desk.sent[0], "the very same bytes"
    await desk.courier.connected()
    assert len(desk.sent) == 3, "and at once on a new connection"
    desk.lands(Obeyed(BOOT, 1, at("14:00"), command, True, "all is clear\nsince noon", "全部正常"))
    desk.lands(Obeyed(BOOT, 2, at("14:00"), command, False, "twice"))
    row = orders.command_of(desk.database.connection, command)
    assert (row.state, row.answered) == (CommandState.DONE, desk.village.clock.now_ms())
    assert row.words == Said("all is clear\nsince noon", "全部正常")
    assert orders.journal_of(desk.database.connection, STATION, 1)[0].detail == f"{command}: all is clear 全部正常"
    await desk.courier.connected()
    assert len(desk.sent) == 3
    steps = [(step.what, step.who) for step in orders.journal_of(desk.database.connection, STATION, 9)]
    assert steps == [("done", "Zhao Min"), ("sent", "Zhao Min"), ("command", "Zhao Min")]


async def test_a_command_runs_out_and_a_late_answer_still_counts(desk: Desk) -> None:
    command = desk.put(MINUTE_MS)
    desk.village.clock.wind_to(at("14:01"))
    await desk.courier.step()
    assert desk.sent == [], "nobody is sent what has run out"
    assert desk.state(command) is CommandState.WAITS, "its answer may be on the way"
    desk.village.clock.wind_to(at("14:01") + LATE_MS)
    await desk.courier.step()
    assert desk.state(command) is CommandState.EXPIRED
    desk.lands(Obeyed(BOOT, 1, at("14:00"), command, False, "no"))
    assert desk.state(command) is CommandState.REFUSED


async def test_a_hub_whose_clock_was_wrong_once_still_issues_in_order(desk: Desk) -> None:
    with desk.database.transaction() as connection:
        orders.put_command(connection, STATION, ASK, at("14:00") + 1000 * 86_400_000, MINUTE_MS)
    command = desk.put(MINUTE_MS)
    await desk.courier.step()
    bodies = [body_of(desk, number, Command) for number in range(2)]
    assert {body.issued for body in bodies} == {at("14:00") + 1000 * 86_400_000 + number for number in range(2)}
    assert all(body.expires - body.issued == MINUTE_MS for body in bodies)
    row = orders.command_of(desk.database.connection, command)
    assert (row.issued, row.expires) == (at("14:00"), at("14:01")), "at the hub its own clock counts"


def test_an_answer_of_another_station_is_none(desk: Desk) -> None:
    command = desk.put()
    desk.lands(Obeyed(BOOT, 1, at("14:00"), command, True, "me too"), "mill-creek")
    assert desk.state(command) is CommandState.WAITS


@pytest.mark.parametrize("lives_ms", [0, -1, 25 * 60 * MINUTE_MS])
def test_a_command_lives_at_most_a_day(desk: Desk, lives_ms: int) -> None:
    with pytest.raises(ValueError, match="minutes are not allowed"):
        desk.put(lives_ms)


async def test_rules_are_retained_and_republished_and_their_versions_rise_above_all(desk: Desk) -> None:
    assert desk.rules("a") == 1
    await desk.courier.connected()
    await desk.courier.step()
    assert [(topic, retain) for topic, _, retain in desk.sent] == [(topics.order(STATION, topics.RULES), True)]
    assert body_of(desk, 0, RulesOrder).text == "a"
    await desk.courier.connected()
    assert desk.topics == ["rules", "rules"], "a wiped broker has them again"
    state = RulesState(VERSION, STATION, at("14:00"), 6, "ab", 8, ["no"])
    await desk.courier.heard(topics.rules_state(STATION), encode(state))
    assert desk.rules("b") == 9, "a hub restored from a backup goes on above what the station knows"
    desk.lands(Papers(BOOT, 3, at("14:00"), "", {}, "", 12))
    assert desk.rules("c") == 13
    found = orders.read_orders(desk.database.connection, STATION)
    assert (found.sent, found.who, found.waits, found.state) == (13, "Zhao Min", True, state)
    with pytest.raises(ValueError, match="at most 262144"):
        desk.rules("x" * 300_000)


async def test_what_another_process_writes_is_seen_and_a_new_station_counts(desk: Desk) -> None:
    await desk.courier.step()
    before = desk.changes
    other = Database(desk.database.path)
    try:
        with other.transaction() as connection:
            enrol(connection, "new-one", "33" * 32, 1)
            enrol(connection, STATION, "44" * 32, 1)
            orders.put_command(connection, "new-one", ASK, desk.village.clock.now_ms(), MINUTE_MS)
    finally:
        other.close()
    await desk.courier.step()
    assert desk.topics == ["command"]
    assert desk.changes > before
    assert (desk.roster["new-one"], desk.roster[STATION]) == ("33" * 32, "44" * 32)
    assert len(desk.roster) == 4


async def test_a_hub_with_former_keys_says_the_way_to_its_newest(tmp_path: Path) -> None:
    village = Village(tmp_path)
    keys = [new_signing_key()[0] for _ in range(2)]
    table = msgspec.structs.replace(village.config.hub, former_keys=keys)
    desk = Desk(village, msgspec.structs.replace(village.config, hub=table))
    await desk.courier.connected()
    assert set(desk.topics) == {"hub_key"}
    assert all(retain for _, _, retain in desk.sent)
    assert len(desk.sent) == 3
    topic, payload, _ = desk.sent[0]
    first, second = msgspec.json.decode(payload, type=list[msgspec.Raw])
    assert public_key_of(keys[1]).encode() in verify(bytes(first), topic, public_key_of(keys[0]))
    assert public_key_of(table.private_key).encode() in verify(bytes(second), topic, public_key_of(keys[1]))
    village.close()


async def test_nothing_is_signed_with_a_newer_key_before_the_way_to_it_is_said(tmp_path: Path) -> None:
    village = Village(tmp_path)
    table = msgspec.structs.replace(village.config.hub, former_keys=[new_signing_key()[0]])
    desk = Desk(village, msgspec.structs.replace(village.config, hub=table))
    desk.put()
    await desk.courier.step()
    assert desk.sent == []
    await desk.courier.connected()
    assert desk.topics == ["hub_key", "hub_key", "hub_key", "command"]
    village.close()


async def test_of_a_long_way_the_newest_part_is_said(tmp_path: Path) -> None:
    village = Village(tmp_path)
    keys = [new_signing_key()[0] for _ in range(LONGEST_WAY + 5)]
    table = msgspec.structs.replace(village.config.hub, former_keys=keys)
    desk = Desk(village, msgspec.structs.replace(village.config, hub=table))
    await desk.courier.connected()
    topic, payload, _ = desk.sent[0]
    way = msgspec.json.decode(payload, type=list[msgspec.Raw])
    assert len(way) == LONGEST_WAY
    assert public_key_of(table.private_key).encode() in verify(bytes(way[-1]), topic, public_key_of(keys[-1]))
    village.close()


def test_papers_that_come_late_do_not_take_the_place_of_newer_ones(desk: Desk) -> None:
    for seq, (when, text) in enumerate([("14:00", "new"), ("13:00", "old")], 1):
        desk.lands(Papers(BOOT, seq, at(when), text, {}, ""))
    papers = orders.papers_of(desk.database.connection, STATION)
    assert papers is not None
    assert papers.config == "new"
    assert orders.height_of(desk.database.connection, STATION) == 2
    with desk.database.transaction() as connection:
        orders.keep_heights(connection, 2)
        connection.execute("DELETE FROM landing")
    assert orders.height_of(desk.database.connection, STATION) == 2, "also when what landed has been dropped by age"


def test_a_database_of_before_gets_the_tables_it_lacks(tmp_path: Path) -> None:
    village = Village(tmp_path)
    village.lands(STATION, detection(Level.YELLOW, "14:00", 1, seq=41))
    village.close()
    later = ("enrolled", "rules_sent", "rules_states", "commands", "papers", "heights", "order_journal", "answers_zh")
    with sqlite3.connect(tmp_path / "hub.sqlite") as connection:
        for table in later:
            connection.execute(f"DROP TABLE {table}")
    connection.close()
    village = Village(tmp_path)
    desk = Desk(village, village.config)
    assert desk.rules("a") == 1
    assert orders.height_of(village.database.connection, STATION) == 41
    village.close()


def test_the_history_tells_an_answer_in_the_language_of_who_reads_it(desk: Desk) -> None:
    command, turned_down = desk.put(), desk.put()
    desk.lands(Obeyed(BOOT, 1, at("14:00"), command, True, "all is clear\nsince noon", "全部正常\n自中午"))
    desk.lands(Obeyed(BOOT, 2, at("14:00"), turned_down, False, "no such rule", "没有这条规则"))
    history = Sender(desk.database, desk.village.config, STATION, desk.village.clock.now_ms).history()
    assert [line.partition("  done  ")[2] for line in history.en.splitlines() if "  done  " in line] == [
        f"Zhao Min  {command}: all is clear"]
    assert [line.partition("  被拒绝  ")[2] for line in history.zh.splitlines() if "被拒绝" in line] == [
        f"Zhao Min  {turned_down}：没有这条规则"]
    assert "全部正常" not in history.en
    assert "all is clear" not in history.zh


def test_the_history_tells_of_a_cloned_card(desk: Desk) -> None:
    desk.lands(Obeyed(BOOT, 1, at("14:00"), "c1", True, "one"))
    desk.lands(Obeyed(BOOT, 1, at("14:00"), "c1", True, "another"))
    history = Sender(desk.database, desk.village.config, STATION, desk.village.clock.now_ms).history()
    assert "cloned card  two contents under one record id; both are kept" in history.en
    assert "存储卡被复制  同一记录编号下有两种内容" in history.zh
