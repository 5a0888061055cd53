"""The papers of a station: what its successor needs, and never a secret."""

import asyncio
import tomllib
from pathlib import Path

import msgspec
import pytest

from edge.papers import AGAIN_MS, Outgoing, without_secrets
from tests.edge_bench import RAIN, STAGE, Bench
from tests.test_edge_commands import Post
from tests.test_edge_hub_rules import HIGHER, heard, post
from tocsin.messages import record_of
from tocsin.orders import Papers

__all__ = ["post"]


def test_the_papers_go_to_the_hub_when_they_change_and_hold_no_secret(post: Post) -> None:
    post.sends_papers()
    (papers,) = post.of(Papers)
    assert post.files.key not in papers.config
    assert post.hub.public_key in papers.config
    assert "sensor_height_m = 0.0" in papers.config
    assert papers.files == {"rules.toml": STAGE + RAIN}
    post.kill(0)
    post.sends_papers()
    assert len(post.of(Papers)) == 1, "a crash took them: once more"
    post.gets()
    post.sends_papers()
    post.again()
    post.sends_papers()
    assert len(post.of(Papers)) == 1
    heard(post, post.hub.rules(3, HIGHER))
    post.sends_papers()
    (_, papers) = post.of(Papers)
    assert (papers.rules_version, papers.files["rules.toml"]) == (3, HIGHER)
    post.gets()
    post.sends_papers()
    post.clock.pass_ms(AGAIN_MS)
    post.again()
    post.sends_papers()
    assert len(post.of(Papers)) == 3, "a hub that lost them has them again"
    post.stop()


async def test_a_station_that_runs_for_years_says_them_again(tmp_path: Path) -> None:
    """The log keeps some days: a hub that is begun anew would never hear of them else."""
    bench = Bench(tmp_path)
    station, papers = bench.operations.station, Outgoing(bench.folder, bench.agent.recorder)
    begun_ms = bench.clock.now_ms()
    await papers.send(station, begun_ms)
    for hour in range(1, 24 * 10):
        bench.flush()
        bench.agent.recorder._written = bench.agent.recorder.last_seq
        await papers.send(station, begun_ms + hour * 3_600_000)
    days = [(one.t - begun_ms) / AGAIN_MS for one in bench.of(Papers)]
    assert days == [0, 1, 2, 3]
    bench.stop()


def test_a_password_of_the_broker_is_no_paper(tmp_path: Path) -> None:
    post = Post(tmp_path)
    post.files.broker = "mqtts://bridge:hush%20hush@127.0.0.1:9"
    post.files.write()
    post.again()
    post.sends_papers()
    assert "mqtts://bridge:not sent@127.0.0.1:9" in post.of(Papers)[-1].config
    post.stop()


@pytest.mark.parametrize("password", ["a", "bridge", "hub", "station", "not sent"])
def test_a_password_that_is_a_word_of_the_file_takes_no_other_word_away(tmp_path: Path, password: str) -> None:
    post = Post(tmp_path)
    place = post.path
    text = place.read_text().replace("mqtt://", f"mqtt://bridge:{password}@")
    place.write_text(text.replace("public_key", 'ca = "ca.pem"\ncert = "a.pem"\ncert_key = "bridge.key"\npublic_key'))
    place.write_text(place.read_text().replace("mqtt://", "mqtts://"))
    before, after = tomllib.loads(place.read_text()), tomllib.loads(without_secrets(place.read_text(), place))
    assert after.pop("hub") == before.pop("hub") | {
        "key": "not sent", "broker": f"mqtts://bridge:not sent@127.0.0.1:{post.files.broker.rpartition(':')[2]}"}
    assert after == before
    post.stop()


def test_a_secret_that_cannot_be_found_is_not_sent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    post = Post(tmp_path)
    key = post.files.key
    post.path.write_text(post.path.read_text().replace(key, f"\\u00{ord(key[0]):02x}{key[1:]}"))
    post.kill(100)
    post.sends_papers()
    assert post.of(Papers) == []
    assert "cannot be told from the rest" in caplog.text
    post.stop()


def test_a_station_without_its_candidate_has_papers_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shadow=STAGE)
    (tmp_path / "shadow.toml").unlink()
    bench.kill(100)
    asyncio.run(bench.agent.commands.send_papers())
    assert bench.of(Papers)[-1].files == {"rules.toml": (tmp_path / "rules.toml").read_text()}
    bench.stop()


def test_records_read_as_they_were_written() -> None:
    papers = Papers("00000000000000aa", 1, 2, "x", {"rules.toml": "y"}, "z", 3)
    assert record_of(msgspec.json.encode(papers)) == papers
