"""Links by which a called person answers: nobody can make one up, and none works for another person or warning."""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable

from hub.callout import TIERS, responsible
from hub.config import HubConfig
from hub.model import Warning as HubWarning
from tocsin.messages import encode

_TOKEN_BYTES = 16  # 22 characters: short enough for a text message, 2^128 to guess


def token(config: HubConfig, warning: str, person: str) -> str:
    """22 characters, safe in an address: a keyed BLAKE2b over the warning's id and the person's name."""
    return _token(_key(config), warning, person)


def link(config: HubConfig, warning: str, person: str) -> str:
    """The address of the person's page; without `public_url` in hub.toml only its path."""
    return f"{config.hub.public_url.rstrip('/')}/answer/{token(config, warning, person)}"


def person_of(config: HubConfig, given: str, warnings: Iterable[HubWarning]) -> tuple[HubWarning, str] | None:
    """The warning and person that a token was made for, among these warnings; None for any other text.

    Only people who were called for a warning or may yet be are tried: everybody may ask with anything, and a county
    has thousands of people.
    """
    key, asked, nearby = _key(config), given.encode(errors="replace"), dict[str, list[str]]()
    found: tuple[HubWarning, str] | None = None
    for warning in warnings:
        if (names := nearby.get(warning.area)) is None:
            names = nearby[warning.area] = [one.name for one in responsible(config.person, warning.area, TIERS)]
        for name in dict.fromkeys([*names, *warning.calls]):
            # no early end: the time taken must not tell how near a guess came
            if hmac.compare_digest(_token(key, warning.id, name).encode(), asked):
                found = warning, name
    return found


def _key(config: HubConfig) -> bytes:
    return hashlib.blake2b(bytes.fromhex(config.hub.private_key), person=b"answer links", digest_size=32).digest()


def _token(key: bytes, warning: str, person: str) -> str:
    # as JSON, so that no two pairs read the same
    digest = hashlib.blake2b(encode([warning, person]), key=key, digest_size=_TOKEN_BYTES).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
