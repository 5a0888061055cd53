"""Why something from a station is not taken."""

from enum import StrEnum


class Refusal(StrEnum):
    """Why something was put into quarantine."""

    TOPIC = "not an uplink topic"
    SIZE = "too large"
    FORMAT = "malformed"
    VERSION = "another version"
    STATION = "another station's name inside"
    UNKNOWN = "unknown station"
    KEY = "a key that counts no more"
    KIND = "unknown kind"
    ID = "bad record id"
    TIME = "impossible time"
    VALUE = "impossible value"
    STORE = "refused by the store"
    DEFECT = "the hub fails on it by a defect"


class RefusedError(Exception):
    """Carries the named reason, and the detail in words."""

    def __init__(self, reason: Refusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
