"""Whatever is said to people is there in English and in Chinese, and takes the same values in both."""

import ast
import errno
import re
import string
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from edge import sayings as of_edge
from edge import status, status_page, walk_words
from edge.budget import STEPS
from edge.thinning import Step
from hub import sayings as of_hub
from tocsin import link_words, log_words
from tocsin.levels import Level
from tocsin.said import Said, SaidError, Sayings, joined, language, reason_of, said_of

REPOSITORY = Path(__file__).parents[1]
Table = Mapping[str, tuple[str, str]]
TABLES: dict[str, Table] = {
    "edge.sayings": of_edge.TABLE, "edge.walk_words": walk_words.TABLE, "edge.status": status.AWAY,
    "edge.status_page": status_page.TABLE, "hub.sayings": of_hub.TABLE,
    "tocsin.link_words": link_words.TABLE, "tocsin.log_words": log_words.TABLE,
}  # fmt: skip
BARE = {"enrol", "on", "heard", "moved", "out"}     # in Chinese only names and marks around what is put in
# what people are answered by; an error of a table of settings is told by `tocsin check`, in the words of its file
ANSWERING = ("operate", "operations", "servicing", "service", "work", "survey", "proof", "siren", "siren_parts",
             "siren_off", "commands", "rule_orders", "answers", "walk", "sheet", "calibration", "asked", "button",
             "service_button", "agent", "pipeline", "tidy", "care", "watchdog", "load", "budget")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def fields(text: str) -> set[tuple[str, str]]:
    return {(name, spec or "") for _, name, spec, _ in string.Formatter().parse(text) if name}


def every() -> Iterator[tuple[str, str, str, str]]:
    for name, table in TABLES.items():
        for key, (en, zh) in table.items():
            yield name, key, en, zh


@pytest.mark.parametrize(("table", "key", "en", "zh"), list(every()))
def test_every_sentence_is_there_in_both_languages(table: str, key: str, en: str, zh: str) -> None:
    words = re.sub(r"\{[^}]*\}", "", en)
    assert not CHINESE.search(en), table
    if re.search(r"[a-z]{2}", words) and key not in BARE:
        assert CHINESE.search(zh), "it says something in English, and nothing in Chinese"
    assert {name for name, _ in fields(en)} == {name for name, _ in fields(zh)}
    assert {spec for _, spec in fields(en)} == {spec for _, spec in fields(zh)}, "a number looks alike in both"


def calls(tree: ast.AST) -> Iterator[tuple[list[str], set[str]]]:
    """Keys and names of the values of each `say(...)`; an alternative gives several keys."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say" and node.args:
            keys = [one.value for one in ast.walk(node.args[0])
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            yield keys, {one.arg for one in node.keywords if one.arg}


@pytest.mark.parametrize(("folder", "table"), [("edge", of_edge.TABLE), ("hub", of_hub.TABLE)])
def test_every_sentence_gets_the_values_that_it_has_and_none_is_dead(folder: str, table: Table) -> None:
    used: set[str] = set()
    for path in sorted((REPOSITORY / folder).glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.name == "sayings.py" or "sayings import" not in text:
            continue
        for keys, given in calls(ast.parse(text)):
            known = [key for key in keys if key in table]
            for key in known:
                assert {name for name, _ in fields(table[key][0])} <= given, f"{path.name}: {key}"
        used |= {key for key in table if f'"{key}"' in text}
    dynamic = {"not_on", "not_off", "command", "sent", "done", "expired", "rules", "enrolled", "replaced",
               *(f"thin_{step:d}" for step in Step), *(f"budget_{step}" for step in range(len(STEPS)))}
    assert set(table) - used - dynamic == set()


@pytest.mark.parametrize("name", ANSWERING)
def test_nothing_is_refused_in_one_language(name: str) -> None:
    tree = ast.parse((REPOSITORY / "edge" / f"{name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            words = [one for one in node.exc.args if isinstance(one, ast.Constant | ast.JoinedStr)]
            assert not (node.exc.func.id == "ValueError" and words), f"{name}.py, line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "told":
            plain = [one for one in node.args[1:] if isinstance(one, ast.Constant | ast.JoinedStr)]
            assert not plain, f"{name}.py, line {node.lineno}"


def test_what_is_put_in_speaks_the_language_of_its_sentence() -> None:
    say = Sayings({"at": ("{who} at {level}, {n:.1f}", "{who}在{level}，{n:.1f}"), "who": ("somebody", "某人")})
    assert say("at", who=say("who"), level=Level.RED, n=2.0) == Said("somebody at red, 2.0", "某人在红色，2.0")
    assert joined([say("who"), "Li Wei"], ", ", "、") == Said("somebody, Li Wei", "某人、Li Wei")


def test_an_error_keeps_both_languages_also_inside_of_another_one() -> None:
    class Picky(msgspec.Struct):
        a: int

        def __post_init__(self) -> None:
            raise SaidError(Said("no", "不行"))

    with pytest.raises(msgspec.ValidationError) as found:
        msgspec.json.decode(b'{"a":1}', type=Picky)
    assert said_of(found.value) == Said("no", "不行")
    assert said_of(ValueError("plain")) == Said("plain", "plain")
    assert said_of(OSError(errno.ENOSPC, "No space left")) == Said("No space left", "磁盘已满"), "a number says nothing"
    assert said_of(OSError(errno.EIO, "Input/output error", "/d/a")) == Said(
        "Input/output error (/d/a)", "磁盘读写出错（/d/a）")
    assert reason_of(OSError(errno.EIO, "Input/output error", "/d/a")) == Said("Input/output error", "磁盘读写出错")
    assert said_of(OSError(errno.ELOOP, "Too many links")) == Said("Too many links", "Too many links")
    assert said_of(OSError("of no number")).zh == "of no number"
    assert str(SaidError(Said("no", "不行"))) == "no"


@pytest.mark.parametrize(("asked", "environ", "lang"), [
    ("", {}, "en"), ("", {"LANG": "zh_CN.UTF-8"}, "zh"), ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
    ("", {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"), ("zh", {}, "zh"),
])
def test_the_language_is_what_was_asked_for_or_what_the_terminal_speaks(
    asked: str, environ: dict[str, str], lang: str
) -> None:
    assert language(asked, environ) == lang
