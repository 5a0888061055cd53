"""A hub's signed words to one station, for tests of the station alone."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.stations import START_MS
from tocsin import topics
from tocsin.messages import VERSION, encode
from tocsin.orders import Command, NewKey, RulesOrder
from tocsin.signing import new_signing_key, public_key_of, sign

HOUR_MS = 3_600_000


@dataclass
class HubVoice:
    """Gives (topic, payload), signed with the newest of its keys."""

    station: str = "bridge"
    keys: list[str] = field(default_factory=lambda: [new_signing_key()[0]])

    @property
    def public_key(self) -> str:
        """That of the first key."""
        return public_key_of(self.keys[0])

    def signed(self, kind: str, body: object, station: str = "") -> tuple[str, bytes]:
        topic = topics.order(station or self.station, kind)
        return topic, sign(encode(body), topic, self.keys[-1])

    def command(self, id: str = "c1", *, issued: int = START_MS, lives_ms: int = HOUR_MS, station: str = "",  # noqa: A002
                **ask: Any) -> tuple[str, bytes]:
        asked = msgspec.Raw(encode({"who": "Zhao Min"} | ask))
        body = Command(VERSION, id, station or self.station, issued, issued + lives_ms, asked)
        return self.signed(topics.COMMAND, body)

    def rules(self, version: int, text: str) -> tuple[str, bytes]:
        return self.signed(topics.RULES, RulesOrder(VERSION, version, self.station, START_MS, "Zhao Min", text))

    def new_key(self) -> tuple[str, bytes]:
        """The hub changes its key; the whole way from its first one."""
        self.keys.append(new_signing_key()[0])
        topic = topics.order(self.station, topics.HUB_KEY)
        chain = [msgspec.Raw(sign(encode(NewKey(VERSION, self.station, public_key_of(after))), topic, before))
                 for before, after in zip(self.keys, self.keys[1:], strict=False)]
        return topic, encode(chain)
