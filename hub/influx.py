"""InfluxDB 1.x as the store: line protocol of our own over HTTP, gzipped, times in ms.

    readings    tags station, device, quantity      fields value float, quality int
    summaries   tags station, device, quantity      fields since int (ms), count int, min, max, mean float
    detections  tags station, series, rule          fields level int, value, threshold, episode text, revision int
    events      tags station, what, device          fields detail text

A 204 does not prove that every line was kept by whatever speaks this protocol, so nothing is sent that
`problem_of` refuses. A 400 refuses some lines: halving finds them. Everything else is worth another try.
"""

import gzip
from collections.abc import Sequence
from typing import Any

import httpx
import msgspec

from hub.errors import PermanentError, TransientError
from hub.store import AnyPoint, EventPoint, LevelPoint, Point, SummaryPoint, problem_of

_TIMEOUT_S = 30.0
_REFUSED = frozenset({httpx.codes.BAD_REQUEST, httpx.codes.REQUEST_ENTITY_TOO_LARGE})
_LONGEST_ANSWER = 200
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})  # packing costs more than the way on this machine

_LATEST = 'SELECT last("value"), "quality" FROM "readings" WHERE "station" = $station GROUP BY "device", "quantity"'
_WHERE = (
    'FROM "readings" WHERE "station" = $station AND "device" = $device AND "quantity" = $quantity'
    " AND time >= {start}ms AND time < {end}ms"
)


class InfluxStore:
    """A hub.store.Store in one database of an InfluxDB 1.x; the database is made when it is missing."""

    def __init__(self, url: str, database: str, user: str = "", password: str = "") -> None:
        self._database = database
        self._client = httpx.AsyncClient(
            base_url=url,
            auth=httpx.BasicAuth(user, password) if user else None,
            timeout=_TIMEOUT_S,
            trust_env=False,  # a proxy of the environment is for the world outside
        )
        self._packs = self._client.base_url.host not in _HERE
        self._ready = False

    async def write(self, points: Sequence[AnyPoint]) -> None:
        await self.write_lines([], points)

    async def write_lines(self, texts: Sequence[str], points: Sequence[AnyPoint]) -> None:
        """As hub.lines.TakesLines says."""
        bad: list[tuple[object, str]] = []
        lines: list[tuple[object, str]] = [(text, text) for text in texts if text]
        for point in points:
            if problem := problem_of(point):
                bad.append((point, problem))
            else:
                lines.append((point, line_of(point)))
        await self._make_database()
        bad += await self._send(lines)
        if bad:
            raise PermanentError(f"{len(bad)} points refused: {bad[0][1]}", bad)

    async def latest(self, station: str) -> list[Point]:
        found = await self._query(_LATEST, {"station": station})
        points = []
        for series in found:
            (t_ms, value, quality) = series["values"][0]
            device, quantity = series["tags"]["device"], series["tags"]["quantity"]
            points.append(Point(station, device, quantity, t_ms, float(value), int(quality)))
        return sorted(points, key=lambda point: (point.device, point.quantity))

    async def series(
        self, station: str, device: str, quantity: str, start_ms: int, end_ms: int, most: int
    ) -> list[tuple[int, float]]:
        if end_ms <= start_ms:
            return []
        where = _WHERE.format(start=int(start_ms), end=int(end_ms))
        names = {"station": station, "device": device, "quantity": quantity}
        counted = await self._query(f'SELECT count("value") {where}', names)
        if not counted:
            return []
        if counted[0]["values"][0][1] <= most:
            return _values(await self._query(f'SELECT "value" {where}', names))
        width = -(-(end_ms - start_ms) // max(1, most // 2))
        # of the functions that pick a point only top and bottom keep its own time inside a bucket
        cut = f"{where} GROUP BY time({width}ms, {start_ms % width}ms)"
        lowest = await self._query(f'SELECT bottom("value", 1) {cut}', names)
        highest = await self._query(f'SELECT top("value", 1) {cut}', names)
        return sorted({*_values(lowest), *_values(highest)})

    async def close(self) -> None:
        await self._client.aclose()

    async def _make_database(self) -> None:
        if not self._ready:
            await self._ask("POST", {"q": f"CREATE DATABASE {_identifier(self._database)}"})
            self._ready = True

    async def _send(self, lines: Sequence[tuple[object, str]]) -> list[tuple[object, str]]:
        """Those that the server refuses, each with its words; the others are kept."""
        if not lines:
            return []
        answer = await self._post(lines)
        if answer.is_success:
            return []
        if answer.status_code == httpx.codes.NOT_FOUND:
            self._ready = False  # someone dropped the database: the next try makes it again
        if answer.status_code not in _REFUSED:
            raise TransientError(f"{self._client.base_url}: {answer.status_code} {_words(answer)}")
        if len(lines) == 1:
            text = lines[0][1]
            if "\n" in text and isinstance(lines[0][0], str):
                return await self._send([(line, line) for line in text.split("\n")])
            return [(lines[0][0], f"{answer.status_code} {_words(answer)}")]
        half = len(lines) // 2
        return await self._send(lines[:half]) + await self._send(lines[half:])

    async def _post(self, lines: Sequence[tuple[object, str]]) -> httpx.Response:
        body = "\n".join(line for _, line in lines).encode()
        if self._packs:
            body = gzip.compress(body, compresslevel=1, mtime=0)
        try:
            return await self._client.post(
                "/write",
                params={"db": self._database, "precision": "ms"},
                content=body,
                headers={"Content-Encoding": "gzip"} if self._packs else {},
            )
        except httpx.HTTPError as err:
            raise TransientError(f"{self._client.base_url}: {err or type(err).__name__}") from err

    async def _query(self, influxql: str, names: dict[str, str]) -> list[dict[str, Any]]:
        """The series of one statement's answer. `names` are bound, never pasted."""
        bound = msgspec.json.encode(names).decode()
        return await self._ask("GET", {"db": self._database, "q": influxql, "epoch": "ms", "params": bound})

    async def _ask(self, method: str, parameters: dict[str, str]) -> list[dict[str, Any]]:
        try:
            answer = await self._client.request(method, "/query", params=parameters)
        except httpx.HTTPError as err:
            raise TransientError(f"{self._client.base_url}: {err or type(err).__name__}") from err
        if not answer.is_success:
            raise TransientError(f"{self._client.base_url}: {answer.status_code} {_words(answer)}")
        return self._series_of(answer)

    def _series_of(self, answer: httpx.Response) -> list[dict[str, Any]]:
        try:
            (result,) = answer.json()["results"]
        except (ValueError, KeyError, TypeError) as err:
            raise TransientError(f"{self._client.base_url}: not an answer of InfluxDB: {_words(answer)}") from err
        if error := result.get("error", ""):
            if error.startswith("database not found"):
                return []  # nothing was written yet
            raise TransientError(f"{self._client.base_url}: {error}")
        series: list[dict[str, Any]] = result.get("series", [])
        return series


def line_of(point: AnyPoint) -> str:
    """One line of the line protocol, for a point that `problem_of` has nothing to say about."""
    match point:
        case Point():
            tags = f"device={_tag(point.device)},quantity={_tag(point.quantity)},station={_tag(point.station)}"
            return f"readings,{tags} value={_float(point.value)},quality={point.quality}i {point.t_ms}"
        case SummaryPoint():
            tags = f"device={_tag(point.device)},quantity={_tag(point.quantity)},station={_tag(point.station)}"
            fields = (
                f"since={point.since_ms}i,count={point.count}i,min={_float(point.low)},max={_float(point.high)},"
                f"mean={_float(point.mean)}"
            )
            return f"summaries,{tags} {fields} {point.t_ms}"
        case LevelPoint():
            tags = f"rule={_tag(point.rule)},series={_tag(point.series)},station={_tag(point.station)}"
            fields = (
                f"level={point.level}i,value={_float(point.value)},threshold={_float(point.threshold)},"
                f"episode={_text(point.episode)},revision={point.revision}i"
            )
            return f"detections,{tags} {fields} {point.t_ms}"
        case EventPoint():
            # an empty tag cannot be written: a series without it is the station itself
            device = f"device={_tag(point.device)}," if point.device else ""
            tags = f"{device}station={_tag(point.station)},what={_tag(point.what)}"
            return f"events,{tags} detail={_text(point.detail)} {point.t_ms}"


def _tag(name: str) -> str:
    return name.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _text(words: str) -> str:
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _float(value: float) -> str:
    """The shortest digits that read back as the same bits; always with a point or an exponent, so never an integer."""
    return repr(float(value))


def _identifier(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _values(found: list[dict[str, Any]]) -> list[tuple[int, float]]:
    """Empty buckets have no value."""
    return [(row[0], float(row[1])) for series in found for row in series["values"] if row[1] is not None]


def _words(answer: httpx.Response) -> str:
    return answer.text[:_LONGEST_ANSWER].strip()
