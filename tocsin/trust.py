"""What a link's TLS connections are made with, read beside the loop: a disk may hang."""

import asyncio
import logging
import ssl

from tocsin.broker import Broker, TlsError, context_of
from tocsin.link_words import say

_READ_S = 5.0  # a disk that is busy has answered by then

log = logging.getLogger(__name__)


class Trust:
    """Of one broker. The files are read anew each time, so that renewed ones count; where they cannot be read any
    more, as on a disk that dies, those that were read before count on."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._last: ssl.SSLContext | None = None
        self._reading: asyncio.Future[ssl.SSLContext] | None = None

    async def context(self) -> ssl.SSLContext:
        """Raises TlsError."""
        if self._reading is None:  # else it still hangs: one thread is enough for that
            self._reading = asyncio.ensure_future(asyncio.to_thread(context_of, self._broker))
        done, _ = await asyncio.wait({self._reading}, timeout=_READ_S)
        why = say("hangs")
        if done:
            reading, self._reading = self._reading, None
            try:
                self._last = reading.result()
            except TlsError as err:
                why = err.said
            else:
                return self._last
        if self._last is None:
            raise TlsError(why)
        log.warning("link: %s; what was read before counts", why)
        return self._last
