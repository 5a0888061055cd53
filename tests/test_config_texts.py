"""Texts of configuration files that have a form of their own: the whole text must have it."""

import msgspec
import pytest

from edge.config import KeyOrNone
from edge.config import Name as DeviceName
from hub.config import EventCode
from hub.config_api import Token
from hub.config_officers import OfficerName, PasswordHash
from hub.config_store import HeaderText
from tocsin.config import AreaCode, HexKey, StationId

GOOD = {
    "station": (StationId, "upper-bridge"), "area": (AreaCode, "431129101203"), "key": (HexKey, "0f" * 32),
    "key or none": (KeyOrNone, "0f" * 32), "no key": (KeyOrNone, ""), "device": (DeviceName, "radar_2"),
    "event code": (EventCode, "11A01"), "token of a program": (Token, "t" * 32), "officer": (OfficerName, "Sun Yan"),
    "password": (PasswordHash, f"scrypt:{'0' * 32}:{'0' * 64}"), "token of a store": (HeaderText, "abc"),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_line_feed_at_the_end_is_not_overlooked(name: str) -> None:
    """It goes into topics and headers, and makes another key of the key of the sample files."""
    kind, text = GOOD[name]
    assert msgspec.convert(text, kind) == text
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text + "\n", kind)


@pytest.mark.parametrize("name", ["area", "event code"])
def test_digits_are_those_of_ascii(name: str) -> None:
    """The wide ones of an input method for Chinese look alike, and are another area to whoever compares."""
    kind, text = GOOD[name]
    wide = text.translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wide, kind)
