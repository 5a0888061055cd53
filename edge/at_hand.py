"""The station file for the commands beside an agent: they find their agent also where an edit has broken the file."""

import sys
from pathlib import Path

from edge.config import StationFile
from edge.good_station import kept_station
from tocsin.config import ConfigError, convert, load, tables_of
from tocsin.said import joined


def station_file(place: Path, lang: str) -> StationFile:
    """As it stands; where it does not hold, the copy that was good last, which is said on stderr. Raises ConfigError
    where there is none."""
    try:
        return load(place, StationFile)
    except ConfigError as err:
        return copied(place, err, lang)


def copied(place: Path, err: ConfigError, lang: str) -> StationFile:
    """The copy that was good last, in place of a file that does not hold for this reason; said on stderr. Raises that
    reason where there is none."""
    good = kept_station(place)
    if good is None:
        raise err
    file = convert(tables_of(good.text, str(place)), StationFile, str(place))
    print(joined(good.said(err.problems), "\n", "\n").in_(lang), file=sys.stderr)
    return file
