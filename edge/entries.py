"""What stands in an entry of the log, as a record."""

import msgspec

from tocsin.log import Entry
from tocsin.messages import Readings, Record, Summary, decode, record_of

_READINGS = msgspec.json.Decoder(Readings)
_SUMMARY = msgspec.json.Decoder(Summary)


def record_in(entry: Entry) -> Record | None:
    """None where it cannot be read: another version of the program wrote it."""
    try:
        return record_of(entry.payload)
    except msgspec.DecodeError:
        return None


def readings_of(entry: Entry) -> Readings:
    """Of an entry that is known to hold readings. Raises msgspec.DecodeError."""
    return decode(_READINGS, entry.payload)


def summary_of(entry: Entry) -> Summary:
    """Of an entry that is known to hold a summary. Raises msgspec.DecodeError."""
    return decode(_SUMMARY, entry.payload)
