"""TOML files checked against msgspec structs; every error names file, place, key, value and what is allowed.

    station.toml: rule 2: "ornage" is not a key; did you mean "orange"?
    station.toml: device "gauge": every_s: -5 is not allowed; use a number of at least 0.02
"""

import difflib
import enum
import inspect
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from tocsin.topics import AREA_CODE, STATION_ID

T = TypeVar("T")
FileName = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]+$", description="the name of a file or folder")]
FileOrNone = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$", description='the name of a file, or "" for none')]
# \Z: a $ would take a line feed behind the text
StationId = Annotated[str, msgspec.Meta(pattern=rf"^{STATION_ID.pattern}\Z", description="small letters, digits, -")]
AREA = rf"^{AREA_CODE.pattern}\Z"
AreaCode = Annotated[str, msgspec.Meta(pattern=AREA, description="12 digits; trailing zeros mean all below")]
HexKey = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z", description="64 hex digits")]


class ConfigError(Exception):
    """What is wrong with a file: every problem found, each a full sentence that starts with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of everything that a TOML table becomes; subclasses repeat `frozen=True` for the type checker."""


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables. Raises ConfigError where it cannot be read or is not TOML."""
    return tables_of(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Raises ConfigError where it cannot be read or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as err:
        raise ConfigError([f"{path}: cannot be read: {err.strerror}"]) from err
    except UnicodeDecodeError as err:
        raise ConfigError([f"{path}: not UTF-8 at byte {err.start}; save it as UTF-8"]) from err


def tables_of(text: str, place: str) -> dict[str, Any]:
    """Those of a file's text. Raises ConfigError where it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise ConfigError([f"{place}: not TOML: {err}"]) from err


def load(path: Path, kind: type[T]) -> T:
    """The file as a struct. Raises ConfigError with every problem found."""
    return convert(read_toml(path), kind, str(path))


def convert(value: Mapping[str, Any], kind: type[T], place: str) -> T:
    """A table as a struct. `place` starts every problem, for instance the file's name. Raises ConfigError."""
    problems: list[str] = []
    _check(value, kind, place, problems)
    if problems:
        raise ConfigError(problems)
    return msgspec.convert(value, kind)


def twice(place: str, kind: str, names: Sequence[str]) -> list[str]:
    """A problem for each name that stands more than once."""
    repeated = sorted({name for name in names if names.count(name) > 1})
    return [f'{place}: {kind} "{name}" stands twice; use another name' for name in repeated]


def _check(value: Any, kind: Any, place: str, problems: list[str]) -> None:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    table = next((k for k in (args if _is_union(origin) else (kind,)) if _is_struct(k)), None)
    if table is not None and (kind is table or isinstance(value, dict)):
        _check_table(value, table, place, problems)
    elif origin is list and isinstance(value, list):
        for number, item in enumerate(value, 1):
            _check(item, args[0], f"{place} {_named(item, number)}", problems)
    elif origin is dict and isinstance(value, dict):
        for name, item in value.items():
            _check(name, args[0], place, problems)
            _check(item, args[1], f"{place}: {name}", problems)
    else:
        try:
            msgspec.convert(value, kind)
        except msgspec.ValidationError:
            problems.append(f"{place}: {_shown(value)} is not allowed; use {_allowed(kind)}")


def _check_table(value: Any, kind: type[msgspec.Struct], place: str, problems: list[str]) -> None:
    if not isinstance(value, dict):
        problems.append(f"{place}: {_shown(value)} is not allowed; use a table")
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    before = len(problems)
    for name in value:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"use {', '.join(fields) or 'no keys here'}"
            problems.append(f'{place}: "{name}" is not a key; {hint}')
    for name, field in fields.items():
        if name in value:
            _check(value[name], field.type, f"{place}: {name}", problems)
        elif field.required:
            problems.append(f"{place}: {_missing(name, field.type)}")
    if len(problems) == before:
        _check_whole(value, kind, place, problems)


def _check_whole(value: dict[str, Any], kind: type[msgspec.Struct], place: str, problems: list[str]) -> None:
    """What only the whole table can tell: the struct's own __post_init__."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as err:
        problems.append(f"{place}: {str(err).partition(' - at `')[0]}")


def _is_struct(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, msgspec.Struct)


def _is_union(origin: Any) -> bool:
    return origin in {types.UnionType, typing.Union}


def _missing(name: str, kind: Any) -> str:
    if _is_struct(kind):
        return f"table [{name}] is missing"
    if _is_tables(kind):
        return f"table [[{name}]] is missing; give at least one"
    return f'key "{name}" is missing; give {_allowed(kind)}'


def _is_tables(kind: Any) -> bool:
    return typing.get_origin(kind) is list and _is_struct(typing.get_args(kind)[0])


def _named(item: Any, number: int) -> str:
    name = (item.get("name") or item.get("id")) if isinstance(item, dict) else None
    return f'"{name}"' if isinstance(name, str) and name else str(number)


def _shown(value: Any) -> str:
    match value:
        case str():
            return f'"{value}"'
        case bool():
            return "true" if value else "false"
        case dict():
            return "a table"
        case [dict(), *_]:
            return "a list of tables"
        case _:
            return str(value)


def _allowed(kind: Any) -> str:
    """What a value of this type may be, in words."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        meta = next((arg for arg in args[1:] if isinstance(arg, msgspec.Meta)), None)
        return f"{_allowed(args[0])}{_bounds(meta) if meta else ''}"
    if _is_union(origin):
        return " or ".join(_allowed(arg) for arg in args if arg is not types.NoneType)
    if origin is typing.Literal:
        return ", ".join(str(arg) for arg in args)
    if _is_tables(kind):
        return "a list of tables, each with its name in [[ ]]"
    if origin is list or (origin is tuple and args[-1] is ...):
        return f"a list of {_allowed(args[0])}"
    if origin is tuple:
        return f"a list of {len(args)}: {', '.join(_allowed(arg) for arg in args)}"
    if inspect.isclass(kind) and issubclass(kind, enum.Enum):
        return ", ".join(str(member.value) for member in kind)
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return words.get(kind, "a table")


def _bounds(meta: msgspec.Meta) -> str:
    if meta.description:
        return f": {meta.description}"
    words = [f" {word} {bound}" for word, bound in (
        ("of at least", meta.ge), ("above", meta.gt), ("up to", meta.le), ("below", meta.lt)) if bound is not None]
    if meta.min_length:
        words.append(f" of at least {meta.min_length} characters")
    return " and".join(words)
