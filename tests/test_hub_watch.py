"""What a watch over the hub makes of what it hears and of time: whom it calls, when, and with which words."""


import pytest

from hub.watch import State, Watch
from hub.watch_config import CallTable, WatchConfig, WatchTable
from tocsin.alive import Alive
from tocsin.messages import VERSION

OFFICER = CallTable("officer", ["say", "{text}"])
DESK = CallTable("desk", ["say", "{text}"], after_s=300.0)


class Post:
    """A watch on seconds of the test's."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.watch = Watch(WatchConfig(WatchTable("mqtt://a:1", "11" * 32, name="weir"), [OFFICER, DESK]), self.now_s)
        self.seq = 0
        self.boot = "a" * 16
        self.hub = "0" * 16
        self.start = 7
        self.hub_s = 1_000
        self.ills: list[str] = []
        self.alive = True
        self.linked = True
        self.said: list[tuple[float, str, str]] = []

    def pass_s(self, seconds: int) -> list[tuple[float, str, str]]:
        """Second by second, with a heartbeat each ten; who was called: after how many seconds, whom, what."""
        said = []
        for passed in range(1, seconds + 1):
            self.now_s += 1
            self.watch.link(connected=self.linked, now_s=self.now_s)
            if self.alive and self.linked and passed % 10 == 0:
                self.beat()
            said += [(float(passed), one.call.name, one.text) for one in self.watch.tick(self.now_s)]
        return said

    def beat(self, *, online: bool = True) -> None:
        self.seq += online
        self.hub_s += 10
        self.watch.heard(Alive(VERSION, self.hub, "Lin'an", self.boot, self.seq if online else 0, self.hub_s * 1000,
                               online, [], self.ills, self.start), self.now_s)

    def restarted(self, *, start: int, boot: str) -> None:
        self.start, self.boot, self.seq = start, boot * 16, 0


def when(said: list[tuple[float, str, str]]) -> list[tuple[float, str]]:
    return [(at, who) for at, who, _ in said]


def test_a_hub_that_lives_calls_nobody() -> None:
    assert Post().pass_s(7200) == []


def test_silence_calls_the_officer_then_the_desk_again_and_again_and_tells_who_was_called_that_it_is_back() -> None:
    post = Post()
    post.pass_s(100)
    post.alive = False
    said = post.pass_s(1300)
    assert when(said) == [(90, "officer"), (390, "desk"), (990, "officer"), (1290, "desk")]
    assert said[0][2] == "weir: Lin'an is silent: no heartbeat (0 min). 预警中心无心跳，可能已停机。"
    assert "(15 min)" in said[2][2]
    post.alive = True
    said = post.pass_s(600)
    assert when(said) == [(10, "officer"), (10, "desk")]
    assert said[0][2] == "weir: Lin'an is well again. 预警中心已恢复正常。"


def test_who_was_not_called_yet_is_not_told_that_it_is_back() -> None:
    post = Post()
    post.pass_s(100)
    post.alive = False
    assert when(post.pass_s(200)) == [(90, "officer")]
    post.alive = True
    assert when(post.pass_s(600)) == [(10, "officer")]


def test_a_hub_that_was_never_heard_is_silent_and_the_broker_s_memory_of_it_proves_nothing() -> None:
    post = Post()
    post.alive = False
    post.watch.link(connected=True, now_s=post.now_s)
    post.beat()  # what the broker kept
    assert when(post.pass_s(200)) == [(90, "officer")]
    assert post.watch.state is State.SILENT


def test_what_was_heard_before_is_no_news_and_a_last_will_is_no_life() -> None:
    post = Post()
    post.pass_s(100)
    post.alive = False
    said = []
    for _ in range(10):
        said += post.pass_s(10)
        post.seq -= 1
        post.beat()
        post.beat(online=False)
    assert when(said) == [(10, "officer")]


@pytest.mark.parametrize("start", [0, 8])
def test_a_hub_that_was_started_again_counts_from_one_again(start: int) -> None:
    post = Post()
    post.start = max(0, start - 1)  # 0: a hub of before, which does not count its starts
    post.pass_s(100)
    post.hub_s -= 10_000  # its clock was set back: that is no sign of a recording
    post.restarted(start=start, boot="b")
    assert post.pass_s(600) == []


def test_a_recording_of_an_earlier_start_is_no_life() -> None:
    """Of one that this watcher never heard, with its own counts: whoever holds the broker can play it for ever."""
    post = Post()
    post.pass_s(100)
    post.restarted(start=6, boot="c")
    assert when(post.pass_s(200)) == [(90, "officer")]
    post.restarted(start=0, boot="d")
    assert when(post.pass_s(200)) == [(190, "desk")]
    post.restarted(start=8, boot="e")
    assert when(post.pass_s(20)) == [(10, "officer"), (10, "desk")]


def test_a_restored_hub_has_another_id_and_counts_from_its_backup_on() -> None:
    post = Post()
    post.pass_s(100)
    post.hub = "1" * 16
    post.restarted(start=3, boot="b")
    assert post.pass_s(600) == []
    for hub, hub_s in (("0" * 16, post.hub_s), ("2" * 16, 0)):  # the one of before, and one of still before
        post.hub, post.hub_s = hub, hub_s
        post.restarted(start=99, boot=hub[0])
        said = post.pass_s(400)
        assert [who for _, who in when(said)] == ["officer", "desk"]
        post.hub, post.hub_s = "1" * 16, 90_000
        post.restarted(start=post.watch._start + 1, boot="f")
        assert when(post.pass_s(20)) == [(10, "officer"), (10, "desk")]


def test_a_broker_that_is_away_is_another_story() -> None:
    post = Post()
    post.pass_s(100)
    post.linked = False
    said = post.pass_s(100)
    assert when(said) == [(91, "officer")]
    assert "cannot be seen: the broker cannot be reached" in said[0][2]
    post.linked, post.alive = True, False
    said = post.pass_s(100)  # nothing is heard: that is no end of it
    assert when(said) == [(91, "officer")]
    assert "is silent: no heartbeat" in said[0][2]
    post.alive = True
    assert when(post.pass_s(20)) == [(10, "officer")]


def test_a_short_break_of_the_link_calls_nobody() -> None:
    post = Post()
    for _ in range(20):
        post.linked = False
        assert post.pass_s(60) == []
        post.linked = True
        assert post.pass_s(60) == []


def test_a_link_that_never_stays_is_an_alarm_too() -> None:
    """As of two watchers with one name, or a line that lets the greeting through and nothing else."""
    post = Post()
    post.pass_s(100)
    post.alive = False
    said = []
    for _ in range(30):
        post.linked = not post.linked
        said += post.pass_s(20)
    assert len(said) == 2, "the officer, and later the desk"
    assert "cannot be seen: the broker cannot be reached" in said[0][2]
    post.linked = post.alive = True
    assert when(post.pass_s(20)) == [(10, "officer"), (10, "desk")]


def test_a_link_that_breaks_while_the_hub_is_silent_does_not_end_the_alarm() -> None:
    post = Post()
    post.pass_s(100)
    post.alive = False
    assert when(post.pass_s(100)) == [(90, "officer")]
    post.linked = False
    assert when(post.pass_s(50)) == []
    post.linked = True
    assert when(post.pass_s(50)) == []
    assert post.watch.state is State.SILENT


def test_what_the_hub_says_of_itself_is_told_when_it_lasts() -> None:
    post = Post()
    post.pass_s(100)
    post.ills = ["the nightly backup failed: no room"]
    post.pass_s(500)
    post.ills = []
    assert post.pass_s(200) == []
    post.ills = ["the nightly backup failed: no room"]
    said = post.pass_s(700)
    assert when(said) == [(610, "officer")]
    assert "is in trouble (0 min). 预警中心有故障。: the nightly backup failed: no room" in said[0][2]


def test_a_call_that_failed_is_made_again_after_a_minute() -> None:
    post = Post()
    post.pass_s(100)
    post.alive = False
    assert when(post.pass_s(90)) == [(90, "officer")]
    post.watch.failed(OFFICER, post.now_s)
    assert when(post.pass_s(120)) == [(60, "officer")]
