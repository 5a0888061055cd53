"""A broker in a network namespace of its own: the way to it can be cut without a word, or made slow. Needs root."""

import itertools
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services import Mosquitto, binary

_numbers = itertools.count()


class Network:
    """Two ways from here into a namespace: `station`, by way of a router that can drop or delay, and `hub`."""

    def __init__(self) -> None:
        number = next(_numbers)
        own, block = f"{os.getpid() % 60_000:x}{number:x}", (os.getpid() + 7 * number) % 250
        self.name, self._router = f"tocsin{own}", f"tocsinr{own}"
        self.station, self.hub = f"10.211.{block}.6", f"10.212.{block}.2"
        for name in (self.name, self._router):
            _run("ip", "netns", "add", name)
            _inside(name, "ip", "link", "set", "lo", "up")
        self._wire(f"10.212.{block}.", 0, ("", f"th{own}"), (self.name, f"tg{own}"))
        self._wire(f"10.211.{block}.", 0, ("", f"ta{own}"), (self._router, f"tb{own}"))
        self._wire(f"10.211.{block}.", 4, (self._router, f"tc{own}"), (self.name, f"td{own}"))
        self._ends = (f"tb{own}", f"tc{own}")
        _inside(self._router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        _run("ip", "route", "add", f"10.211.{block}.4/30", "via", f"10.211.{block}.2")
        _inside(self.name, "ip", "route", "add", f"10.211.{block}.0/30", "via", f"10.211.{block}.5")

    def cut(self) -> None:
        """From now on the router drops every packet of the station's way, both ways; nobody is told."""
        self._shape("8bit", "10b", "10b")

    def slow(self, kbit_s: int) -> None:
        self._shape(f"{kbit_s}kbit", "2kb", "30kb")

    def mend(self) -> None:
        for end in self._ends:
            _inside(self._router, "tc", "qdisc", "del", "dev", end, "root")

    def close(self) -> None:
        for name in (self.name, self._router):
            _run("ip", "netns", "del", name)

    def _shape(self, rate: str, burst: str, limit: str) -> None:
        for end in self._ends:
            _inside(self._router, "tc", "qdisc", "replace", "dev", end, "root", "tbf", "rate", rate, "burst", burst,
                    "limit", limit)

    @staticmethod
    def _wire(block: str, first: int, *ends: tuple[str, str]) -> None:
        (_, near), (far_name, far) = ends
        _run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", far_name)
        if ends[0][0]:
            _run("ip", "link", "set", near, "netns", ends[0][0])
        for number, (name, end) in enumerate(ends, first + 1):
            _inside(name, "ip", "address", "add", f"{block}{number}/30", "dev", end)
            _inside(name, "ip", "link", "set", end, "up")


class FarMosquitto(Mosquitto):
    """Lives inside."""

    def __init__(self, folder: Path, network: Network) -> None:
        super().__init__(folder)
        self.network = network
        self._program = binary("ip")

    def arguments(self) -> list[str]:
        _, config = super().arguments()
        text = Path(config).read_text()
        Path(config).write_text(text.replace(f"listener {self.port} 127.0.0.1", f"listener {self.port}"))
        return ["netns", "exec", self.network.name, binary("mosquitto"), "-c", config]

    def ready(self) -> bool:
        try:
            socket.create_connection((self.network.hub, self.port), timeout=5).close()
        except OSError:
            return False
        return True


@contextmanager
def far_broker(folder: Path) -> Iterator[FarMosquitto]:
    """A running broker inside a new namespace. Skips the test where this machine allows none."""
    try:
        network = Network()
    except (OSError, subprocess.CalledProcessError) as err:
        said = err.stderr.decode().strip() if isinstance(err, subprocess.CalledProcessError) else str(err)
        pytest.skip(f"no network namespace can be made here (it takes root, ip and tc): {said}")
    server = FarMosquitto(folder / "mosquitto", network)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        network.close()


def _inside(name: str, *command: str) -> None:
    """In that namespace, "" for this one."""
    _run(*(("ip", "netns", "exec", name) if name else ()), *command)


def _run(*command: str) -> None:
    subprocess.run([binary(command[0]), *command[1:]], check=True, capture_output=True)
