"""What identifies the content of a record, and of a run of records."""

import hashlib


def digest(data: bytes) -> str:
    """16 hex digits of BLAKE2b over the exact bytes."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def digest_of_digests(digests: list[str]) -> str:
    """The digest that a committed range carries."""
    return digest("".join(digests).encode())
