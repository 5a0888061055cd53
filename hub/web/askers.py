"""From where somebody asks, and whether an officer was let in with this browser before."""

import hashlib
import hmac
import secrets
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection

SEAL = "browser"  # the cookie's name
SEAL_KEPT_S = 365 * 86_400
_IPV6_PLACE = 64  # bits; the rest one customer chooses

Asking = ASGIConnection[Any, Any, Any, Any]


class Seals:
    """What a browser is given when an officer is let in: it opens nothing, only tells it from a stranger's."""

    def __init__(self, private_key: str) -> None:
        self._key = hashlib.blake2b(bytes.fromhex(private_key), person=b"officers' door", digest_size=32).digest()

    def new(self) -> str:
        return self._sealed(secrets.token_hex(8))

    def of(self, connection: Asking) -> str:
        """The browser's number; "" for one that we never gave."""
        given = connection.cookies.get(SEAL, "")
        number = given.partition("-")[0]
        return number if hmac.compare_digest(given.encode(), self._sealed(number).encode()) else ""

    def _sealed(self, number: str) -> str:
        return f"{number}-{hashlib.blake2b(number.encode(), key=self._key, digest_size=16).hexdigest()}"


def is_here(connection: Asking) -> bool:
    """Whether this machine asks: what the network says, never what a header says."""
    address = _address(connection.client.host if connection.client else "")
    return address is not None and address.is_loopback


def is_ours(host: str, public_url: str) -> bool:
    """Whether this is an address, a name without a dot (which nobody else can own) or that of `public_url`."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return "." not in name or _address(name) is not None or name == urlsplit(public_url).hostname


def place_of(connection: Asking) -> str:
    """Whose guesses are counted together. A web server on this machine says for whom it asks, last in the header."""
    said = connection.headers.get("x-forwarded-for", "").rpartition(",")[2].strip() if is_here(connection) else ""
    address = _address(said) or _address(connection.client.host if connection.client else "")
    return str(ip_network((address, _IPV6_PLACE), strict=False) if isinstance(address, IPv6Address) else address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return inner or address
