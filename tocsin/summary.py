"""What a station with a data budget says of its readings in calm: one row a series and window, instead of each reading.

The readings stay in the station's log, where they can be asked for (`tocsin operate ... raw`).
"""

import msgspec


class Summary(msgspec.Struct, frozen=True, tag="summary", tag_field="kind"):
    """One window of readings, as columns of equal length, a row a series that had readings in it.

    The window begins at `since` (ms UTC). `t` is the time of the series' last reading in it, `last` that reading's
    value and `quality` its bits. `count` readings were good; `min`, `max` and `mean` are of those (0.0 where there was
    none). Values are in the quantity's unit. It stands for the records `first_seq`..`last_seq` of kind readings: of
    these the station sends by themselves only the ones in which something changed.
    """

    boot: str
    seq: int
    since: int
    first_seq: int
    last_seq: int
    t: list[int]
    series: list[str]
    count: list[int]
    min: list[float]
    max: list[float]
    mean: list[float]
    last: list[float]
    quality: list[int]

    def __post_init__(self) -> None:
        columns = (self.series, self.count, self.min, self.max, self.mean, self.last, self.quality)
        if any(len(column) != len(self.t) for column in columns):
            raise ValueError("columns of a summary differ in length")
