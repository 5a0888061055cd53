"""The papers of a station: what a successor needs, sent to the hub when they have changed."""

import logging
import re
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from edge.config import Station
from edge.recorder import Recorder
from tocsin.config import ConfigError, read_toml
from tocsin.log import replace_file
from tocsin.messages import digest, encode
from tocsin.orders import Papers

SENT = "papers"
AGAIN_MS = 86_400_000     # at a start: the log that held them may have been dropped before the hub was lost
_SECRET = re.compile(r"key|password|secret|token")
_SHOWN = "not sent"

log = logging.getLogger(__name__)


class _Sent(msgspec.Struct, frozen=True):
    digest: str
    t: int


class Outgoing:
    """`send` puts the papers into the log where they are news."""

    def __init__(self, folder: Path, recorder: Recorder) -> None:
        self._place = folder / SENT
        self._recorder = recorder
        self._seen: Station | None = None
        self._waiting: tuple[int, _Sent] | None = None

    def send(self, station: Station, now_ms: int) -> None:
        """To be called every minute. Looks at the files only where the rules have changed since the last call.

        What cannot be read is not sent.
        """
        self._note()
        if station is self._seen:
            return
        self._seen = station
        try:
            papers = papers_of(station)
            sent = _Sent(digest(encode(papers)), now_ms)
            if self._news(sent):
                self._waiting = self._recorder.add(msgspec.structs.replace(papers, t=now_ms)), sent
        except (OSError, ConfigError, ValueError) as err:
            log.warning("the papers are not sent: %s", err)

    def _note(self) -> None:
        """Only what is in the log will reach the hub."""
        if self._waiting and self._recorder.status.written_seq >= self._waiting[0]:
            try:
                replace_file(self._place, encode(self._waiting[1]), sync=False)
            except OSError as err:    # sent once more at the next start
                log.warning("that the papers are sent is not remembered: %s", err)
            self._waiting = None

    def _news(self, sent: _Sent) -> bool:
        try:
            before = msgspec.json.decode(self._place.read_bytes(), type=_Sent)
        except (OSError, ValueError):
            return True
        return before.digest != sent.digest or not 0 <= sent.t - before.t < AGAIN_MS


def papers_of(station: Station) -> Papers:
    """Raises OSError, ConfigError and UnicodeDecodeError."""
    source, files = station.source, station.files
    texts = {files.rules: source.text}
    if files.shadow_rules:
        texts[files.shadow_rules] = (files.place.parent / files.shadow_rules).read_text(encoding="utf-8")
    config = without_secrets(station.place)
    return Papers("", 0, 0, config, texts, source.plan.hash, source.version, station.calibration.text)


def without_secrets(place: Path) -> str:
    """The station file with every key, password and the like taken out. Raises OSError and ConfigError."""
    text = place.read_text(encoding="utf-8")
    hub = read_toml(place).get("hub", {})
    secrets = {value for key, value in hub.items()
               if isinstance(value, str) and _SECRET.search(key) and key != "public_key"}
    password = urlsplit(str(hub.get("broker", ""))).password
    for secret in sorted(secrets | {password or ""}, key=len, reverse=True):
        text = text.replace(secret, _SHOWN) if secret else text
    return text
