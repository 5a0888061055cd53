"""Officers' passwords: kept as scrypt hashes in hub.toml. `tocsin hub password NAME` makes such an entry.

    password = "scrypt:<salt, 16 bytes in hex>:<hash, 32 bytes in hex>"    N = 2^14, r = 8, p = 1: 16 MB, some 50 ms
"""

import argparse
import getpass
import hashlib
import hmac
import json
import secrets
import sys

import msgspec

from hub.config_officers import OfficerTable

SHORTEST = 10
LONGEST = 200
_KIND = "scrypt"


def hash_of(password: str, salt: bytes) -> str:
    found = hashlib.scrypt(password.encode("utf-8", "surrogateescape"), salt=salt, n=1 << 14, r=8, p=1, dklen=32)
    return f"{_KIND}:{salt.hex()}:{found.hex()}"


def fits(password: str, kept: str) -> bool:
    """Whether `kept` was made from this password. Some 50 ms without the GIL, however wrong it is."""
    _, salt, _ = kept.split(":")
    return hmac.compare_digest(hash_of(password, bytes.fromhex(salt)), kept)


def main(argv: list[str]) -> int:
    """Exit code: 0 done, 1 refused, 2 the command line is off."""
    parser = argparse.ArgumentParser(
        prog="tocsin hub password", description="Make the [[officer]] entry of hub.toml for one officer.")
    parser.add_argument("name", metavar="NAME", help="as it is to stand in the journal")
    name = parser.parse_args(argv).name
    password = _asked() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    problem = _problem(password)
    try:
        entry = msgspec.convert({"name": name, "password": hash_of(password, secrets.token_bytes(16))}, OfficerTable)
    except msgspec.ValidationError:
        problem = f'"{name}" is not allowed as a name; use 1 to 80 letters on one line, no colon'
    if problem:
        print(problem, file=sys.stderr)
        return 1
    # JSON's strings are strings of TOML too
    print(f'[[officer]]\nname = {json.dumps(entry.name, ensure_ascii=False)}\npassword = "{entry.password}"')
    return 0


def _asked() -> str:
    """"" where the two differ."""
    first, second = getpass.getpass("password: "), getpass.getpass("again: ")
    return first if first == second else ""


def _problem(password: str) -> str:
    if SHORTEST <= len(password) <= LONGEST:
        return ""
    return f"the password is not allowed; use {SHORTEST} to {LONGEST} letters, the same both times"
