"""Line protocol as servers read it, written from its published syntax and not from tocsin's renderer."""

import re
from dataclasses import dataclass, field

_NAME = r"(?:\\[,= \\]|[^,= \\\n])+"
_VALUE = r'(?:"(?:\\["\\]|[^"\\\n])*"|-?\d+i|-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|true|false)'
_FIELD = re.compile(rf"({_NAME})=({_VALUE})")
LINE = re.compile(
    rf"((?:\\[, \\]|[^, \\\n])+)((?:,{_NAME}={_NAME})*) ({_NAME}={_VALUE}(?:,{_NAME}={_VALUE})*) (-?\d+)"
)

Point = tuple[str, tuple[str, ...], int]    # measurement, tags as written, time


@dataclass(slots=True)
class Bucket:
    """A bucket of 2.x, a database of 3.x. `oldest_ms` is where its retention ends."""

    points: dict[Point, dict[str, str]] = field(default_factory=dict)
    types: dict[tuple[str, str], str] = field(default_factory=dict)
    oldest_ms: int | None = None
    seconds: int = 0


def put(bucket: Bucket, match: re.Match[str]) -> str:
    """Keeps a line; says what is wrong with the type of a field, or ""."""
    fields = dict(_FIELD.findall(match[3]))
    kinds = {name: _kind(value) for name, value in fields.items()}
    for name, kind in kinds.items():
        known = bucket.types.get((match[1], name), kind)
        if known != kind:
            return f'input field "{name}" on measurement "{match[1]}" is type {kind}, already exists as type {known}'
    bucket.types |= {(match[1], name): kind for name, kind in kinds.items()}
    tags = tuple(sorted(re.findall(rf",({_NAME}={_NAME})", match[2])))
    bucket.points.setdefault((match[1], tags, int(match[4])), {}).update(fields)
    return ""


def _kind(value: str) -> str:
    if value.startswith('"'):
        return "string"
    if value in {"true", "false"}:
        return "boolean"
    return "integer" if value.endswith("i") else "float"
