"""A socket that is read in large pieces. paho asks it for a byte, another byte, then the rest of each packet: that is
four calls of the system for each message, and each of them lets go of the interpreter, which other threads then keep.
"""

import socket

AT_ONCE = 64 << 10


class Inflow:
    """What paho and aiomqtt use of a socket, which must be connected. `pending`: bytes that are read by the next `recv`
    though nothing more has come: the socket wakes nobody for them."""

    def __init__(self, under: socket.socket) -> None:
        self._under = under
        self._piece = b""
        self._taken = 0
        self.send = under.send
        self.fileno = under.fileno
        self.setblocking = under.setblocking
        self.settimeout = under.settimeout

    def recv(self, most: int) -> bytes:
        """At most so many bytes; b"" at the end. Raises what the socket raises."""
        if not self.pending():
            if most >= AT_ONCE:
                return self._under.recv(most)
            self._piece, self._taken = self._under.recv(AT_ONCE), 0
        begin, self._taken = self._taken, min(self._taken + most, len(self._piece))
        return self._piece[begin : self._taken]

    def pending(self) -> int:
        """Of TLS too it is all: a record is shorter than a piece, so that none is left in there half read."""
        return len(self._piece) - self._taken

    def close(self) -> None:
        self._under.close()
