"""A group of records made a message and published; one too large for the broker goes in parts."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from edge.holding import Holding
from edge.lanes import Pace
from edge.underway import Underway
from tocsin import topics
from tocsin.link import Link, LinkDownError, RefusedError, TooLargeError
from tocsin.log import Entry
from tocsin.messages import VERSION, Upload, encode
from tocsin.packing import WORTH, pack
from tocsin.said import Said
from tocsin.signing import mark_of

_PACKED_FROM = 4096  # bytes of a message; without a budget live ones stay as they are, which is quickest


class Sending:
    """`pace` says how large a message may be. `too_large` hears of a record that will never go, and why."""

    def __init__(self, station: str, key: str, underway: Underway, holding: Holding,
                 too_large: Callable[[Entry, Said], None]) -> None:  # fmt: skip
        self.pace = Pace()
        self._station = station
        self._key = key
        self._underway = underway
        self._holding = holding
        self._too_large = too_large

    async def publish(self, link: Link, lane: str, group: Sequence[Entry]) -> None:
        """Raises LinkDownError."""
        message = encode(
            Upload(VERSION, self._station, [msgspec.Raw(entry.payload) for entry in group], mark_of(self._key)))
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        for entry in group:  # before the await: the hub may answer before the broker does
            self._underway.put(entry, begun_s)
        packed = pack(message, WORTH if self._holding.on else _PACKED_FROM)
        try:
            await link.publish(topics.up(self._station, lane), packed)
        except TooLargeError as err:
            await self._in_parts(link, lane, group, err.said)
        except RefusedError:
            pass  # it counts as under way, and goes again later: at once it would be refused again; `trouble` says it
        except LinkDownError:
            self.pace.failed(len(message))
            raise
        else:
            self.pace.took(len(message), loop.time() - begun_s)

    async def _in_parts(self, link: Link, lane: str, group: Sequence[Entry], why: Said) -> None:
        """What is too large by itself stays in the log: nothing may wait for it."""
        if half := len(group) // 2:
            await self.publish(link, lane, group[:half])
            await self.publish(link, lane, group[half:])
        else:
            self._too_large(group[0], why)
