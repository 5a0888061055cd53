"""What a service says in its log: for people, for programs, and never a secret."""

import json
import logging
from pathlib import Path

import pytest

from tests.hubs import HubFiles
from tests.processes import Command
from tests.test_journey import until
from tocsin.logs import Json, Plain, hidden

KEY = "0123456789abcdef" * 4


@pytest.mark.parametrize(("text", "said"), [
    ("mqtts://hub:pa55word@broker.example:8883: refused", "mqtts://hub:***@broker.example:8883: refused"),
    ("http://127.0.0.1:8086: no answer", "http://127.0.0.1:8086: no answer"),
    (f"private_key {KEY} is not allowed", "private_key *** is not allowed"),
    ("Authorization: Token abcdefgh12345==", "Authorization: Token ***"),
    ("/write?db=tocsin&u=tocsin&password=hush&precision=ms", "/write?db=tocsin&u=tocsin&password=***&precision=ms"),
    ('{"token": "abc", "org": "county"}', '{"token": "***", "org": "county"}'),
    ("no connection to the broker: 00112233445566aa", "no connection to the broker: 00112233445566aa"),
])
def test_secrets_are_hidden_and_nothing_else(text: str, said: str) -> None:
    assert hidden(text) == said


def record(text: str, *args: object, error: Exception | None = None) -> logging.LogRecord:
    info = (type(error), error, None) if error else None
    return logging.LogRecord("hub.link", logging.WARNING, "file", 1, text, args, info)


def test_a_line_for_programs_is_one_object_whatever_it_says() -> None:
    line = Json().format(record('broker %s: "no\nway"\t中', "a", error=ValueError(f"key {KEY}")))
    assert "\n" not in line
    found = json.loads(line)
    assert (found["level"], found["part"], found["text"]) == ("warning", "hub.link", 'broker a: "no\nway"\t中')
    assert "ValueError: key ***" in found["error"]
    assert found["t"].endswith("Z")


def test_a_line_for_people_hides_what_stands_in_a_traceback() -> None:
    assert KEY not in Plain().format(record("failed", error=ValueError(f"key {KEY}")))


async def test_a_real_hub_says_it_so(tmp_path: Path) -> None:
    files = HubFiles(tmp_path / "hub", "mqtt://hub:pa55word@127.0.0.1:9", [])
    hub = Command(tmp_path / "process", "hub", str(files.write()), "--log-json")
    try:
        hub.start()

        async def said() -> bool:
            return "127.0.0.1:9" in hub.said and hub.said.endswith("\n")

        await until(said)
    finally:
        hub.stop()
    for line in hub.said.splitlines():
        found = json.loads(line)
        assert set(found) <= {"t", "level", "part", "text", "error"}
    assert "127.0.0.1:9" in hub.said
    assert "pa55word" not in hub.said
