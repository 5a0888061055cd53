"""The papers of a station: what a successor needs, sent to the hub when they have changed."""

import asyncio
import logging
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from edge.config import Station
from edge.recorder import Recorder
from tocsin.config import ConfigError, tables_of
from tocsin.log import replace_file
from tocsin.messages import digest, encode
from tocsin.orders import Papers

SENT = "papers"
AGAIN_MS = 3 * 86_400_000    # a hub that is lost gets what the log still holds: some 7 days, and they must be among it
_SECRET = re.compile(r"key|password|secret|token")
_NO_SECRET = {"public_key", "cert_key"}    # the second is the name of a file
_LONG = 16
_SHOWN = "not sent"

log = logging.getLogger(__name__)


class _Sent(msgspec.Struct, frozen=True):
    digest: str
    t: int


class Outgoing:
    """`send` puts the papers into the log where they are news. What cannot be read is not sent."""

    def __init__(self, folder: Path, recorder: Recorder) -> None:
        self._place = folder / SENT
        self._recorder = recorder
        self._seen: Station | None = None
        self._seen_ms = 0
        self._waiting: tuple[int, _Sent] | None = None

    async def send(self, station: Station, now_ms: int) -> None:
        """To be called every minute. Waits for a disk that hangs."""
        papers = await asyncio.to_thread(self._news, station, now_ms)
        if papers is not None:
            self._waiting = self._recorder.add(papers), _Sent(_digest(papers), papers.t)

    def _news(self, station: Station, now_ms: int) -> Papers | None:
        """Reads the files where the rules have changed since the last call, or after AGAIN_MS."""
        self._note()
        if station is self._seen and 0 <= now_ms - self._seen_ms < AGAIN_MS:
            return None
        self._seen, self._seen_ms = station, now_ms
        try:
            papers = papers_of(station)
        except ConfigError as err:
            log.warning("the papers are not sent: %s", err)
            return None
        try:
            before = msgspec.json.decode(self._place.read_bytes(), type=_Sent)
        except (OSError, ValueError):
            before = _Sent("", 0)
        same = before.digest == _digest(papers) and 0 <= now_ms - before.t < AGAIN_MS
        return None if same else msgspec.structs.replace(papers, t=now_ms)

    def _note(self) -> None:
        """Only what is in the log will reach the hub."""
        if self._waiting and self._recorder.status.written_seq >= self._waiting[0]:
            try:
                replace_file(self._place, encode(self._waiting[1]), sync=False)
            except OSError as err:    # sent once more at the next start
                log.warning("that the papers are sent is not remembered: %s", err)
            self._waiting = None


def _digest(papers: Papers) -> str:
    return digest(encode(msgspec.structs.replace(papers, t=0)))


def papers_of(station: Station) -> Papers:
    """Raises ConfigError."""
    source, files = station.source, station.files
    texts = {files.rules: source.text}
    if files.shadow_rules:
        with suppress(OSError, UnicodeDecodeError):    # for want of a candidate no station is without a successor
            texts[files.shadow_rules] = (files.place.parent / files.shadow_rules).read_text(encoding="utf-8")
    config = without_secrets(station.text, station.place)
    return Papers("", 0, 0, config, texts, source.plan.hash, source.version, station.calibration.text)


def without_secrets(text: str, place: Path) -> str:
    """A station file with every key, password and the like taken out, and nothing else.

    Raises ConfigError also where a secret is written so that it cannot be found.
    """
    tables = tables_of(text, str(place))
    hub = dict(tables.get("hub", {}))
    shown = hub.copy()
    for name, value in hub.items():
        if name not in _NO_SECRET and isinstance(value, str) and value and _SECRET.search(name):
            shown[name] = _SHOWN
            text = _replaced(text, value)
    broker = str(hub.get("broker", ""))
    if password := urlsplit(broker).password:
        shown["broker"] = broker.replace(f":{password}@", f":{_SHOWN}@")
        text = text.replace(f":{password}@", f":{_SHOWN}@")
    with suppress(tomllib.TOMLDecodeError):
        if tomllib.loads(text) == tables | {"hub": shown}:
            return text
    raise ConfigError([f"{place}: hub: its secrets cannot be told from the rest; write them as plain text in quotes"])


def _replaced(text: str, secret: str) -> str:
    """Wherever a long one stands; a short one may be a word like any other."""
    if len(secret) >= _LONG:
        return text.replace(secret, _SHOWN)
    return text.replace(f'"{secret}"', f'"{_SHOWN}"')
