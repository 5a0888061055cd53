"""Pushing to Grafana's HTTP API: what arrives, and what is said when it does not."""

from collections.abc import Iterator

import pytest

from dashboards import station
from dashboards.command import TOKEN_FROM, run
from simulators.grafana import FakeGrafana, Reply
from tests.services import free_port


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv(TOKEN_FROM, raising=False)


@pytest.fixture
def grafana() -> Iterator[FakeGrafana]:
    with FakeGrafana(token="secret", sources={station.SOURCE}) as server:
        yield server


def push(grafana: FakeGrafana, *more: str) -> int:
    return run(["push", "--url", grafana.url, "--token", "secret", *more])


def test_push_makes_the_folder_and_puts_the_dashboard(grafana: FakeGrafana, capsys: pytest.CaptureFixture[str]) -> None:
    assert push(grafana) == 0
    assert capsys.readouterr().out == f"{grafana.url}/d/tocsin-station\n"
    assert grafana.folders == {"tocsin": "tocsin"}
    saved = grafana.dashboards["tocsin-station"]
    assert saved["folderUid"] == "tocsin"
    assert saved["dashboard"] == {**station.build()["tocsin-station"], "id": None}


def test_a_second_push_overwrites(grafana: FakeGrafana) -> None:
    assert push(grafana) == 0
    grafana.dashboards["tocsin-station"]["dashboard"]["title"] = "changed by hand"
    assert push(grafana) == 0
    assert grafana.dashboards["tocsin-station"]["dashboard"]["title"] == "tocsin · Station 站点"
    assert grafana.asked.count("POST /api/folders") == 1


def test_a_grafana_under_a_path_and_a_token_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN_FROM, "secret\n")
    with FakeGrafana(token="secret", sources={"theirs"}, path="/grafana") as server:
        assert run(["push", "--url", server.url, "--datasource", "theirs", "--folder", "county"]) == 0
        assert server.folders == {"county": "county"}
        assert list(server.dashboards) == ["tocsin-station"]


def test_a_token_that_may_not_see_data_sources_is_enough(
    grafana: FakeGrafana, capsys: pytest.CaptureFixture[str]
) -> None:
    grafana.sources_hidden = True
    assert push(grafana) == 0
    assert 'may not see data source "tocsin-influxdb"; not checked' in capsys.readouterr().err
    assert list(grafana.dashboards) == ["tocsin-station"]


def test_no_data_source_of_that_uid_is_an_error_before_anything_is_put(
    grafana: FakeGrafana, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(grafana, "--datasource", "wrong") == 1
    assert 'no data source with uid "wrong"; make it, or name yours: --datasource' in capsys.readouterr().err
    assert not grafana.dashboards
    assert not grafana.folders


@pytest.mark.parametrize(("reply", "words"), [
    (Reply(401, {"message": "Invalid API key"}), "401, the token is not accepted"),
    (Reply(400, {"message": "bad"}), "refused with 400"),
    (Reply(412, {"message": "changed by someone"}), "refused with 412: Client Error 412: changed by someone"),
    (Reply(500, {"message": "database is locked"}), "Server Error 500: database is locked"),
    (Reply(200, "{oops"), "the answer is not JSON; is this a Grafana?"),
    (Reply(200, "<html>sign in</html>", "text/html"), "the answer is not a JSON object; is this a Grafana?"),
    (Reply(200, ["uid"]), "the answer is not a JSON object; is this a Grafana?"),
    (Reply(200, {"status": "ok"}), "to dashboard tocsin-station; is this a Grafana?"),
])
def test_every_bad_answer_is_said_in_words(
    grafana: FakeGrafana, capsys: pytest.CaptureFixture[str], reply: Reply, words: str
) -> None:
    grafana.broken = reply
    assert push(grafana) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"{grafana.url}: ")
    assert words in said
    assert "Traceback" not in said


def test_a_wrong_token_is_refused(grafana: FakeGrafana, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["push", "--url", grafana.url, "--token", "other"]) == 1
    assert "401, the token is not accepted; make a new one in Grafana" in capsys.readouterr().err
    assert not grafana.dashboards


def test_a_viewer_is_told_the_role(grafana: FakeGrafana, capsys: pytest.CaptureFixture[str]) -> None:
    grafana.broken = Reply(403, {"message": "no"})
    assert push(grafana) == 1
    assert "refused with 403: Client Error 403: no; the token needs the role Editor" in capsys.readouterr().err


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert run(["push", "--url", url, "--token", "secret"]) == 1
    assert capsys.readouterr().err.startswith(f"{url}: cannot be reached: ")


@pytest.mark.parametrize("url", ["localhost:3000", "ftp://host", "http://", "http://a:b@host:3000", "http://host?x=1",
                                 "http://host:port"])
def test_a_wrong_address_is_refused_before_asking(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["push", "--url", url, "--token", "secret"]) == 1
    assert f'"{url}" is not the address of a Grafana; use http://host:3000' in capsys.readouterr().err


def test_without_a_token_it_says_how_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["push", "--url", "http://127.0.0.1:1"]) == 1
    assert "no token: make a service account with role Editor" in capsys.readouterr().err


def test_the_stand_in_itself_refuses_what_grafana_refuses() -> None:
    fake = FakeGrafana(token="t", folders={"f": "f"})
    untitled = b'{"dashboard": {"uid": "u", "title": ""}, "folderUid": "f"}'
    titled = untitled.replace(b'"title": ""', b'"title": "T"')
    assert fake.answer("/api/dashboards/db", "Bearer t", untitled).status == 400
    assert fake.answer("/api/dashboards/db", "Bearer t", titled.replace(b'"f"', b'"g"')).status == 400
    assert fake.answer("/api/dashboards/db", "Bearer t", titled).status == 200
    assert fake.answer("/api/dashboards/db", "Bearer t", titled).status == 412
    assert fake.answer("/api/elsewhere", "Bearer t", None).status == 404
