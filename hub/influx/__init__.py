"""InfluxDB 1.x, 2.x and 3.x as the store: line protocol of our own over HTTP, gzipped, times in ms; InfluxQL to read.

    readings    tags station, device, quantity      fields value float, quality int
    summaries   tags station, device, quantity      fields since int (ms), count int, min, max, mean float
    detections  tags station, series, rule          fields level int, value, threshold, episode text, revision int
    events      tags station, what, device          fields detail text

`lines` renders and checks, `place` knows how each version is spoken to, `answers` what it says, `store` puts them
together. `setup` prepares a server, `downsample` makes 10 min, 1 h and 1 day of readings where the server does not.
"""

from hub.influx.lines import line_of
from hub.influx.place import Place, influxdb1, influxdb2, influxdb3, place_of
from hub.influx.store import InfluxStore, LineStore

__all__ = ["InfluxStore", "LineStore", "Place", "influxdb1", "influxdb2", "influxdb3", "line_of", "place_of"]
