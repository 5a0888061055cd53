"""What people hear of an agent: in their language at the station, in both at the hub, and nothing of it lost."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import operate
from edge.answers import LONGEST, fitting, page_of
from edge.sayings import say
from edge.words import WIDTH
from tests.edge_bench import GAUGE, LATCHED, Bench
from tests.test_agent import Site
from tests.test_edge_commands import Post
from tocsin.messages import Event, EventKind
from tocsin.orders import Obeyed
from tocsin.said import LANGS, Said, SaidError


def heard(bench: Bench, kind: EventKind) -> list[tuple[str, str]]:
    """Detail and Chinese detail of the events of a kind."""
    return [(event.detail, event.zh) for event in bench.of(Event) if event.what is kind]


async def test_at_the_station_a_person_is_answered_in_his_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")

    async def ask(*words: str) -> tuple[int, str]:
        code = await asyncio.to_thread(operate.run, [str(site.files.folder / "station.toml"), *words])
        said = capsys.readouterr()
        return code, (said.out or said.err).strip()

    async with site.agent() as agent:
        while not (site.files.folder / "station-data" / operate.SOCKET).exists():
            await asyncio.sleep(0)
        assert await ask("levels") == (0, "全部正常")
        assert await ask("--lang", "en", "levels") == (0, "everything is clear")
        assert await ask("levels", "--lang", "en") == (0, "everything is clear")
        await site.read(agent, 2.6)
        assert await ask("levels") == (0, f"橙色：{GAUGE}，规则“stage”")
        who = ("--who", "李伟")
        assert await ask("clear", "stage", GAUGE, *who) == (0, f"{GAUGE}：李伟 已人工解除“stage”（原为橙色）")
        assert await ask("clear", "stage", GAUGE, *who) == (1, f"{GAUGE} 的“stage”没有预警，无需操作")
        assert await ask("service", "gauge", "30", *who) == (0, "gauge：李伟 开始检修，最长 30 分钟")
        assert await ask("service", "gauge", "90", *who) == (1, "不允许 90 分钟；可填 0 至 60")
        assert await ask("ack", "stage", GAUGE, "--who", " ") == (1, "请写明操作人：--who 姓名")
        assert await ask("raw", "noon", "", *who) == (
            1, "start：“noon”不是时间；请用 UTC 的 ISO 8601 格式：2024-08-08T07:20:00Z")
    code, said = await ask("levels")
    assert (code, said.partition("：")[2]) == (1, "终端程序没有应答：数据目录中无程序监听；请确认它在运行")


def test_the_hub_hears_in_both_languages_what_people_do(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LATCHED)
    bench.read(2.6)
    bench.operations.acknowledge("stage", GAUGE, "Li Wei")
    assert heard(bench, EventKind.OPERATOR) == [
        ('Li Wei acknowledged "stage" at orange', "Li Wei 已确认“stage”（橙色）")]
    bench.operations.servicing.toggle(20, say("service_button"))
    assert heard(bench, EventKind.SERVICE) == [
        (f'the service button: refused, not while a warning is open: "stage" on {GAUGE} is at orange; '
         "wait until it is clear, or clear it first",
         f"检修按钮：被拒绝，有预警时不能检修：{GAUGE} 的“stage”为橙色；请等预警解除，或先人工解除")]
    bench.operations.clear("stage", GAUGE, "Li Wei")
    bench.reload(LATCHED.replace("orange", "orang"))
    (refused,) = heard(bench, EventKind.RULES)
    assert refused[0].startswith("refused, the rules stay as they were: ")
    assert refused[1].startswith("规则被拒绝，原规则继续有效：")
    bench.stop()


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


def answers(post: Post) -> list[tuple[bool, str, str]]:
    return [(one.done, one.said, one.zh) for one in post.of(Obeyed)]


def test_a_command_is_answered_in_both_languages(post: Post) -> None:
    post.read(0.5)
    post.gets(post.hub.command("c1", do="service", device="gauge", minutes=30),
              post.hub.command("c2", do="clear", rule="stage", series=GAUGE),
              post.hub.command("c3", do="levels", more=1), post.hub.command("c4", do="explode"))
    done, refused, wrong, unknown = answers(post)
    assert done == (True, "gauge: Zhao Min works on it for at most 30 min", "gauge：Zhao Min 开始检修，最长 30 分钟")
    assert refused == (False, '"clear" can only be done at the station', "“clear”只能在现场操作")
    assert "more" in wrong[1]
    assert wrong[2] == f"指令有误：{wrong[1]}"
    assert unknown[1].startswith('"explode" is nothing that can be done; use levels, ack, ')
    assert unknown[2].startswith("没有“explode”这个指令；可用：levels, ack, ")
    post.stop()


def test_from_afar_the_status_is_what_people_read_there(post: Post) -> None:
    post.read(0.5)
    post.gets(post.hub.command("c1", do="status"))
    ((done, en, zh),) = answers(post)
    assert done
    assert en.startswith("Upper bridge (bridge)")
    assert zh.startswith("上桥 (bridge)")
    assert f"  {GAUGE}" in en
    assert "全部正常" in zh
    assert max(map(len, en.splitlines())) <= WIDTH
    post.stop()


def test_an_answer_that_is_too_long_comes_in_pages_and_nothing_is_lost(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.answers.LONGEST", 150)
    post.read(0.5)
    post.gets(*(post.hub.command(f"c{page}", do="status", page=page) for page in (*range(1, 8), 99)))
    *found, beyond = answers(post)
    pages = [(en, zh) for done, en, zh in found if done]
    assert len(pages) > 2
    assert [en.rpartition(": ")[2] for en, _ in pages[:2]] == ["page=2", "page=3"]
    assert pages[0][1].endswith("；下一页：page=2")
    assert pages[-1][0].endswith(f"--- page {len(pages)} of {len(pages)}")
    whole = "\n".join(en.rpartition("\n")[0] for en, _ in pages)
    assert [title for title in ("LEVELS", "READINGS", "FAULTS", "LINK", "LOG", "CLOCK") if title not in whole] == []
    assert beyond == (False, f"there is no page 99; the last is {len(pages)}", f"没有第 99 页；最后一页是 {len(pages)}")
    post.stop()


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=60), max_size=60),
       st.integers(5, 80))
def test_the_pages_of_a_text_are_the_text(lines: list[str], longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edge.answers.LONGEST", longest)
        text = Said("\n".join(lines), "\n".join(lines[:3]))
        found: list[Said] = []
        more = True
        while more:
            found.append(page_of(text, len(found) + 1))
            more = f"page={len(found) + 1}" in found[-1].en.rpartition("\n")[2]
        if len(found) == 1:
            assert found == [text]
            return
        for lang in LANGS:
            bodies = [one.in_(lang).rpartition("\n")[0] for one in found]
            assert all(len(body) <= longest for body in bodies)
            assert "".join(bodies).replace("\n", "") == text.in_(lang).replace("\n", "")
        with pytest.raises(SaidError):
            page_of(text, len(found) + 1)


def test_what_was_done_once_is_cut_and_says_so() -> None:
    """To ask again for its other pages would do it again."""
    assert fitting(Said("short", "短")) == Said("short", "短")
    cut = fitting(Said("x" * (LONGEST + 7), "短"))
    assert cut.en == f"{'x' * LONGEST}\n--- cut here; 7 characters more"
    assert cut.zh == "短\n--- 此处截断；另有 7 个字符"
