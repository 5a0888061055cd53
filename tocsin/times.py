"""Moments as people and files write them: milliseconds UTC in, ISO 8601 out, and back; lengths of time in ms."""

from datetime import UTC, datetime

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


def utc(ms: int) -> datetime:
    """The moment as an aware datetime in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def iso(ms: int) -> str:
    """The moment as `2024-08-08T07:20:00Z`, with milliseconds only where there are some."""
    moment = utc(ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{ms % 1000:03d}" if ms % 1000 else "") + "Z"


def ms_of(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time with a zone. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f'time "{text}" has no zone; write it in UTC with Z')
    return round(moment.timestamp() * 1000)
