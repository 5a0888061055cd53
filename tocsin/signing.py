"""Seals and signatures around a message's exact bytes.

A sealed message is `{"v":1,"sig":"<hex>","body":{...}}`. The signature covers the topic, a line feed and the body's
exact bytes, so a message cannot be replayed on another station's or area's topic. Down messages to one station carry a
keyed BLAKE2b under the station's key; what many read (bulletins, rules) an Ed25519 signature.
"""

import hashlib
import hmac
import secrets

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from tocsin.messages import VERSION, decode, encode

# The key in every sample file. Whoever has read one could answer for the hub, so nothing runs with it.
EXAMPLE_KEY = "0" * 64
EXAMPLE_KEY_WARNING = 'is that of the sample files, which everybody knows; make your own with "tocsin keys"'


class SealError(ValueError):
    """A message whose seal or signature does not fit; it must not be acted on."""


class Sealed(msgspec.Struct, frozen=True):
    v: int
    sig: str
    body: msgspec.Raw


_DECODER = msgspec.json.Decoder(Sealed)


def new_station_key() -> str:
    """64 hex digits."""
    return secrets.token_hex(32)


def new_signing_key() -> tuple[str, str]:
    """(private, public), 64 hex digits each."""
    key = SigningKey.generate()
    return key.encode().hex(), key.verify_key.encode().hex()


def public_key_of(private_hex: str) -> str:
    return SigningKey(bytes.fromhex(private_hex)).verify_key.encode().hex()


def mark_of(station_key_hex: str) -> str:
    """8 hex digits that tell keys apart and give none away. They prove nothing: who may publish is for the broker."""
    return hashlib.blake2b(b"mark", digest_size=4, key=bytes.fromhex(station_key_hex)).hexdigest()


def seal(body: bytes, topic: str, station_key_hex: str) -> bytes:
    """Under the key that the hub shares with one station."""
    return encode(Sealed(VERSION, _mac(body, topic, station_key_hex), msgspec.Raw(body)))


def unseal(data: bytes, topic: str, station_key_hex: str) -> bytes:
    """The body. Raises SealError."""
    sealed = _parse(data)
    # as bytes: of text compare_digest takes ASCII alone
    if not hmac.compare_digest(sealed.sig.encode(), _mac(bytes(sealed.body), topic, station_key_hex).encode()):
        raise SealError(f"{topic}: the seal does not fit the station's key")
    return bytes(sealed.body)


def sign(body: bytes, topic: str, private_hex: str) -> bytes:
    """With the hub's Ed25519 key."""
    signature = SigningKey(bytes.fromhex(private_hex)).sign(_context(topic) + body).signature
    return encode(Sealed(VERSION, signature.hex(), msgspec.Raw(body)))


def verify(data: bytes, topic: str, public_hex: str) -> bytes:
    """The body. Raises SealError."""
    sealed = _parse(data)
    try:
        VerifyKey(bytes.fromhex(public_hex)).verify(_context(topic) + bytes(sealed.body), bytes.fromhex(sealed.sig))
    except (BadSignatureError, ValueError):
        raise SealError(f"{topic}: the signature does not fit the hub's key") from None
    return bytes(sealed.body)


def _parse(data: bytes) -> Sealed:
    try:
        sealed = decode(_DECODER, data)
    except (msgspec.DecodeError, RecursionError) as err:
        raise SealError(f"not a sealed message: {err}") from err
    if sealed.v != VERSION:
        raise SealError(f"version {sealed.v} of the wire contract; this side speaks {VERSION}")
    return sealed


def _context(topic: str) -> bytes:
    return topic.encode() + b"\n"


def _mac(body: bytes, topic: str, station_key_hex: str) -> str:
    return hashlib.blake2b(_context(topic) + body, digest_size=16, key=bytes.fromhex(station_key_hex)).hexdigest()
