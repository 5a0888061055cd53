"""One word to systemd: sd_notify(3), a datagram to the socket that NOTIFY_SOCKET names. Without one nothing is said."""

import asyncio
import os
import socket
from contextlib import suppress

_BEATS = 3.0     # in the time after which systemd loses patience
_EVERY_S = 10.0  # where systemd asks for no watchdog


class Notify:
    """One word to the service manager; a manager that is not there, or does not listen, changes nothing."""

    def __init__(self, path: str, watchdog_s: float = 0.0) -> None:
        """`watchdog_s`: within which it wants to hear that all is well, 0 where it does not."""
        self.path = path
        self.every_s = watchdog_s / _BEATS or _EVERY_S

    @classmethod
    def of_environment(cls) -> "Notify":
        """As systemd has set NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = os.environ.get("WATCHDOG_USEC", "0")
        return cls(os.environ.get("NOTIFY_SOCKET", ""), int(usec) / 1e6 if for_us and usec.isdecimal() else 0.0)

    def say(self, *words: str) -> None:
        """Such as READY=1, WATCHDOG=1, STATUS=text."""
        if not self.path:
            return
        address = "\0" + self.path[1:] if self.path.startswith("@") else self.path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
            line.sendto("\n".join(words).encode(), address)

    async def keep_alive(self) -> None:
        """Until cancelled; for times in which there is nothing to prove."""
        while True:
            self.say("WATCHDOG=1")
            await asyncio.sleep(self.every_s)
