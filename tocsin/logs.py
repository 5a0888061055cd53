"""What a service says: plain lines for people, or JSON lines for programs; neither ever holds a secret."""

import json
import logging
import re
import sys
from datetime import UTC, datetime

_SECRETS = (
    (re.compile(r"(\w+://[^\s/:@]*):[^\s/@]+@"), r"\1:***@"),
    (re.compile(r"\b[0-9a-fA-F]{64}\b"), "***"),
    (re.compile(r"\b((?:Token|Bearer|Basic)\s+)[\w+/=.~-]{8,}"), r"\1***"),
    (re.compile(r"((?:password|token|secret)[\"']?\s*[=:]\s*[\"']?)[^\s\"',&]+", re.IGNORECASE), r"\1***"),
)


def hidden(text: str) -> str:
    """Without keys of 64 hex digits, passwords in addresses, tokens, and what is called password, token or secret."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


class Plain(logging.Formatter):
    """`2026-11-22 02:30:00,123 text`, with a traceback where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))


class Json(logging.Formatter):
    """One object a line: `t` (ISO 8601, UTC), `level`, `part` (the module), `text`, `error` (a traceback)."""

    def format(self, record: logging.LogRecord) -> str:
        t = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"t": t, "level": record.levelname.lower(), "part": record.name, "text": hidden(record.getMessage())}
        if record.exc_info:
            line["error"] = hidden(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def set_up(*, verbose: bool, as_json: bool) -> None:
    """To standard error; warnings and above unless `verbose`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if as_json else Plain())
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, handlers=[handler])
