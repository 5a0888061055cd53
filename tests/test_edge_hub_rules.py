"""Rules from the hub: checked, brought in beside all else, kept, answered; and what a station does with broken ones."""

from pathlib import Path

import msgspec
import pytest

from edge.config import check, load_station
from edge.own_log import replayed
from edge.restore import SUCCESSION
from edge.rule_source import GOOD_RULES, HUB_RULES
from tests.edge_bench import RAIN, STAGE, Bench
from tests.test_edge_commands import Post
from tocsin.config import ConfigError
from tocsin.levels import Level
from tocsin.messages import Detection, EventKind, Start
from tocsin.orders import RulesState

HIGHER = STAGE.replace("orange = 2.5", "orange = 2.7") + RAIN
BROKEN = STAGE.replace("red", "rad").replace("yellow", "yelow")


class Link:
    """Keeps what would be retained."""

    def __init__(self) -> None:
        self.said: list[tuple[str, bytes]] = []

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        assert retain
        self.said.append((topic, payload))

    @property
    def state(self) -> RulesState:
        topic, payload = self.said[-1]
        assert topic == "tocsin/1/bridge/rules/state"
        return msgspec.json.decode(payload, type=RulesState)


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


def heard(post: Post, *messages: tuple[str, bytes]) -> RulesState:
    link = Link()
    post.agent.commands.link = link  # type: ignore[assignment]
    post.gets(*messages)
    return link.state


def oranges(post: Bench) -> list[float]:
    return [rule.levels["orange"] for start in post.of(Start) for rule in start.card.rules if rule.name == "stage"]


def test_the_hubs_rules_come_in_while_a_level_stands_and_win_over_the_file(post: Post) -> None:
    post.read(2.6)
    state = heard(post, post.hub.rules(3, HIGHER))
    assert (state.version, state.refused, state.hash) == (3, 0, post.of(Start)[-1].card.rules_hash)
    assert oranges(post) == [2.5, 2.7]
    assert post.levels() == [("stage", Level.ORANGE)], "other rules clear nothing"
    assert post.reload(STAGE) == "the rules are as before", "the station's own file waits"
    post.again()
    assert heard(post, post.hub.rules(3, HIGHER)).version == 3
    assert oranges(post) == [2.5, 2.7, 2.7]
    for stage in (1.0, 2.6):
        post.read(stage)
    assert post.levels() == [("stage", Level.ORANGE), ("stage", Level.CLEAR), ("stage", Level.YELLOW)]
    post.flush()
    own = replayed(post.folder)
    assert own.decided == own.told
    assert not own.damage
    post.stop()


def test_rules_that_are_wrong_are_refused_with_every_problem_and_the_last_good_ones_stay(post: Post) -> None:
    heard(post, post.hub.rules(3, HIGHER))
    state = heard(post, post.hub.rules(4, BROKEN), post.hub.rules(4, BROKEN))
    assert (state.version, state.refused, len(state.problems)) == (3, 4, 2)
    assert '"rad" is not a key; did you mean "red"?' in state.problems[0] + state.problems[1]
    assert all(problem.startswith("rules version 4 of the hub: ") for problem in state.problems)
    assert len([detail for _, detail in post.events(EventKind.RULES) if "refused" in detail]) == 1, "told once"
    post.again()
    assert heard(post, post.hub.rules(3, HIGHER)).version == 3
    state = heard(post, post.hub.rules(5, STAGE + RAIN))
    assert (state.version, state.refused, state.problems) == (5, 0, [])
    post.stop()


@pytest.mark.parametrize(("text", "why"), [
    ("[[rule", "not TOML"),
    (STAGE.replace('"gauge zero"', '"sea"'), "datum"),
    ("# " + "x" * 300_000, "at most 262144"),
])
def test_rules_that_do_not_fit_change_nothing(post: Post, text: str, why: str) -> None:
    state = heard(post, post.hub.rules(1, text))
    assert (state.version, state.refused) == (0, 1)
    assert why in state.problems[0]
    assert not (post.folder / HUB_RULES).exists()
    assert oranges(post) == [2.5]
    post.stop()


def test_a_file_that_is_all_wrong_does_not_fill_the_link(post: Post) -> None:
    state = heard(post, post.hub.rules(1, "".join(f'[[rule]]\nname = "r{number}"\n' for number in range(200))))
    assert len(state.problems) == 31
    assert state.problems[-1].startswith("and ")
    state = heard(post, post.hub.rules(2, STAGE.replace('"stage"', f'"{"s" * 100_000}"').replace("red", "rad")))
    assert max(map(len, state.problems)) <= 500
    assert max(len(detail) for _, detail in post.events(EventKind.RULES)) < 5_000
    post.stop()


def test_an_older_word_does_not_hide_why_a_newer_one_was_refused(post: Post) -> None:
    before = heard(post, post.hub.rules(3, HIGHER), post.hub.rules(5, BROKEN))
    state = heard(post, post.hub.rules(2, STAGE))
    assert (state.version, state.refused, state.problems) == (3, 5, before.problems)
    post.stop()


def test_a_lower_version_is_refused_and_a_rollback_is_a_higher_one_with_old_content(post: Post) -> None:
    heard(post, post.hub.rules(7, STAGE + RAIN), post.hub.rules(8, HIGHER))
    state = heard(post, post.hub.rules(7, STAGE + RAIN))
    assert (state.version, state.refused) == (8, 7)
    assert state.problems == ["version 7 is older than 8, which is in force"]
    assert heard(post, post.hub.rules(9, STAGE + RAIN)).version == 9
    assert oranges(post)[-2:] == [2.7, 2.5]
    post.stop()


def test_rules_that_cannot_be_kept_are_not_brought_in(post: Post) -> None:
    (post.folder / (HUB_RULES + ".new")).mkdir()
    state = heard(post, post.hub.rules(1, HIGHER))
    assert (state.version, state.refused) == (0, 1)
    assert "cannot be kept" in state.problems[0]
    post.stop()


def test_a_log_that_cannot_be_read_leaves_the_rules_of_before_for_the_next_start_too(post: Post) -> None:
    heard(post, post.hub.rules(1, STAGE + RAIN))
    post.flush()
    segment = next((post.folder / "log").glob("segment-*.log"))
    aside = segment.rename(segment.with_suffix(".aside"))
    segment.mkdir()
    state = heard(post, post.hub.rules(2, HIGHER))
    segment.rmdir()
    aside.rename(segment)
    assert (state.version, state.refused) == (1, 2)
    assert "the log cannot be read" in state.problems[0]
    assert load_station(post.path).source.version == 1
    post.stop()


def test_without_the_hubs_key_the_stations_own_file_counts(post: Post) -> None:
    heard(post, post.hub.rules(3, HIGHER))
    post.files.public_key = ""
    post.files.write()
    post.again()
    assert oranges(post)[-1] == 2.5
    post.stop()


@pytest.mark.parametrize("what", ["broken", "gone", "not UTF-8", "another datum"])
def test_a_station_starts_on_a_broken_rules_file_with_the_last_good_rules_and_says_so(
    tmp_path: Path, what: str
) -> None:
    bench = Bench(tmp_path)
    bench.read(2.6)
    file = tmp_path / "rules.toml"
    match what:
        case "gone":
            file.unlink()
        case "not UTF-8":
            file.write_bytes(b"\xff\xfe")
        case _:
            file.write_text(BROKEN if what == "broken" else STAGE.replace('"gauge zero"', '"sea"'))
    assert check(bench.path), "tocsin check still says what is wrong"
    bench.kill(100)
    (told,) = [detail for _, detail in bench.events(EventKind.RULES)]
    assert told.startswith("refused, the last good ones are in force: ")
    bench.read(3.1)
    assert bench.levels() == [("stage", Level.ORANGE), ("stage", Level.RED)]
    bench.kill(100)
    assert len(bench.events(EventKind.RULES)) == 2, "and at the next start too"
    bench.stop()


def test_a_broken_candidate_is_left_out_and_the_station_starts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shadow=STAGE)
    (tmp_path / "shadow.toml").write_text("[[rule]]\nname = 'wrong'")
    (tmp_path / "rules.toml").write_text(HIGHER)
    bench.kill(100)
    assert bench.agent.pipeline.decider.shadow is None
    assert "shadow.toml" in bench.events(EventKind.RULES)[-1][1]
    bench.read(2.6)
    assert bench.levels() == [("stage", Level.YELLOW)], "the station's new rules, not the last good ones"
    bench.stop()


def test_a_station_that_never_had_good_rules_does_not_start(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.stop()
    (bench.folder / GOOD_RULES).unlink()
    (tmp_path / "rules.toml").write_text(BROKEN)
    with pytest.raises(ConfigError) as refused:
        load_station(bench.path)
    assert len(refused.value.problems) == 2


def test_a_torn_copy_of_the_hubs_rules_does_not_stop_a_station(post: Post) -> None:
    heard(post, post.hub.rules(3, HIGHER))
    (post.folder / HUB_RULES).write_bytes(b'{"v":1')
    post.again()
    assert oranges(post)[-1] == 2.7
    assert heard(post, post.hub.rules(3, HIGHER)).version == 3
    post.stop()


def test_a_successor_stands_where_the_station_before_it_stood(tmp_path: Path) -> None:
    first = Bench(tmp_path / "first")
    first.read(2.6)
    (told,) = first.of(Detection)
    first.stop()
    second = StationAfter(tmp_path / "second", told)
    assert second.sounds == "orange", "a siren that was sounding sounds again"
    second.kill(0)
    second.read(1.0)
    found = second.of(Detection)
    assert [(one.level, one.previous, one.revision) for one in found] == [(0, 3, told.revision + 1)]
    assert found[0].episode == told.episode
    assert found[0].seq > 40
    second.flush()
    own = replayed(second.folder)
    assert own.decided == own.told == [msgspec.structs.replace(found[0], boot="", seq=0)]
    second.stop()


class StationAfter(Bench):
    """A station whose data folder was made by `tocsin enrol --replace`."""

    def __init__(self, folder: Path, told: Detection) -> None:
        (folder / "station-data" / "log").mkdir(parents=True)
        (folder / "station-data" / SUCCESSION).write_bytes(msgspec.json.encode([told]))
        (folder / "station-data" / "log" / "cursor").write_text("40 00000000000000aa\n")
        super().__init__(folder)
