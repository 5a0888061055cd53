"""Keys and values as TOML has them."""

import json
from collections.abc import Mapping
from typing import Any


def key_text(name: str) -> str:
    """Bare where that is allowed, else quoted."""
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else json.dumps(name)


def value_text(value: Any) -> str:
    """A truth, a number, a text, or a table of them on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{key_text(key)} = {value_text(inner)}" for key, inner in value.items()) + " }"
        case _:
            return json.dumps(str(value), ensure_ascii=False)
