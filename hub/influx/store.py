"""A store in one database of an InfluxDB. A 400 refuses some lines: halving finds them. Points beyond retention are
counted and not looked for: the server has kept all others. Everything else is worth another try."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import httpx

from hub.errors import PermanentError, TransientError
from hub.influx import queries
from hub.influx.answers import Answer, Said, failed, understood, words_of
from hub.influx.lines import Line, bodies, body_of, rendered
from hub.influx.place import Place, Where, influxdb1
from hub.influx.queries import Found, identifier
from hub.store import AnyPoint, LabelPoint, Point, Row
from hub.tables import Table, TableRow, whole_times

T = TypeVar("T", bound=TableRow)

_TIMEOUT_S = 30.0       # of a write, and of what no page waits for
_READ_TIMEOUT_S = 5.0   # pages wait for it
_REST_S = 10.0          # after a read that was not answered in time others fail at once: a page asks for many stations
_HERE = frozenset({"127.0.0.1", "localhost", "::1"})    # packing costs more than the way on this machine
_SUSPICIOUS = 50    # single lines refused in a row, none kept, in words that are not about lines: no more are tried


@dataclass(slots=True)
class _Sending:
    """What has become of the lines of one `write`."""

    bad: list[tuple[AnyPoint | str, str]] = field(default_factory=list)
    expired: int = 0
    believed: bool = False    # it has kept lines, or said something about lines
    doubted: str = ""    # a refusal in words that are not about lines: a proxy's, unless `believed`
    doubts: int = 0


class LineStore:
    """A hub.store.Store that speaks line protocol and InfluxQL. `packs`: requests are gzipped; not on one machine."""

    def __init__(self, place: Place, *, patient: bool = False) -> None:
        """`patient`: no page waits for what is read, and an answer may take as long as that of a write."""
        self.place = place
        self._client = httpx.AsyncClient(
            base_url=place.url,
            headers=dict(place.headers),
            timeout=_TIMEOUT_S,
            trust_env=False,  # a proxy of the environment is for the world outside
        )
        self.packs = self._client.base_url.host not in _HERE
        self._patient = patient
        self._rests_until_s = -math.inf

    async def write(self, points: Sequence[AnyPoint]) -> None:
        """As `Store.write`; PermanentError counts points beyond retention too."""
        await self.write_lines([], points)

    async def write_lines(self, texts: Sequence[str], points: Sequence[AnyPoint]) -> None:
        """As `hub.store.TakesLines.write_lines`."""
        sending = _Sending()
        lines: list[Line] = [(text, text) for text in texts if text]
        if points:
            # rendering and packing must not hold up warnings
            made, refused = await asyncio.to_thread(rendered, points)
            sending.bad += refused
            lines += made
        for body in bodies(lines):
            await self._send(body, sending)
        if sending.doubted and not sending.believed:
            raise TransientError(f"{self.place.url}: refuses every line: {sending.doubted}")
        if sending.bad:
            raise PermanentError(f"{len(sending.bad)} points refused: {sending.bad[0][1]}", sending.bad,
                                 sending.expired)
        if sending.expired:
            raise PermanentError(f"{sending.expired} points are beyond retention", expired=sending.expired)

    async def write_downsampled(self, lines: Sequence[str]) -> None:
        """Ready lines for the retention policy DOWNSAMPLED. Raises TransientError unless all are kept, but for those
        beyond its retention."""
        answer = await self._post(self.place.write_downsampled, lines)
        if answer.said not in {Said.KEPT, Said.EXPIRED}:
            raise TransientError(f"{self.place.url}: {answer.words}")

    async def latest(self, station: str) -> list[Point]:
        return queries.points(await self.query(queries.latest(station)), station)

    async def latest_all(self) -> list[Point]:
        return queries.points(await self.query(queries.latest_all()))

    async def series(
        self, station: str, device: str, quantity: str, start_ms: int, end_ms: int, most: int
    ) -> list[tuple[int, float]]:
        if end_ms <= start_ms:
            return []
        where = queries.span(station, device, quantity, start_ms, end_ms)
        counted = await self.query(f'SELECT count("value") {where}')
        if not counted:
            return []
        if counted[0]["values"][0][1] <= most:
            return queries.values(await self.query(f'SELECT "value" {where}'))
        width = -(-(end_ms - start_ms) // max(1, most // 2))
        # of the functions that pick a point only top and bottom keep its own time inside a bucket
        cut = f"{where} GROUP BY time({width}ms, {start_ms % width}ms)"
        lowest = await self.query(f'SELECT bottom("value", 1) {cut}')
        highest = await self.query(f'SELECT top("value", 1) {cut}')
        return sorted({*queries.values(lowest), *queries.values(highest)})

    async def readings(self, point: Point, start_ms: int, end_ms: int, most: int) -> list[Row]:
        where = queries.span(point.station, point.device, point.quantity, start_ms, end_ms)
        return queries.rows(
            await self.query(f'SELECT "value", "quality" {where} ORDER BY time LIMIT {int(most)}')
        )

    async def labels(self, station: str, start_ms: int, end_ms: int, most: int) -> list[LabelPoint]:
        def asked(begin_ms: int, until_ms: int, number: int) -> str:
            return queries.labels(station, begin_ms, until_ms, number)

        rows = await self._whole(asked, queries.words, start_ms, end_ms, most)
        return [LabelPoint(station, device, quantity, t, said) for t, said, device, quantity in rows]

    async def stations(self) -> list[str]:
        """Every station that the store has anything of."""
        found = [one["tags"]["station"] for asked in queries.STATIONS for one in await self.query(asked)]
        return sorted(set(found))

    async def table(self, table: Table, station: str, start_ms: int, end_ms: int, most: int) -> list[TableRow]:
        """As `hub.embedded.SqliteStore.table`."""
        def asked(begin_ms: int, until_ms: int, number: int) -> str:
            return queries.table(table, station, begin_ms, until_ms, number)

        return await self._whole(asked, partial(queries.table_rows, table), start_ms, end_ms, most)

    async def close(self) -> None:
        await self._client.aclose()

    async def query(self, influxql: str, *, patient: bool = False) -> Found:
        """The series of one statement's answer, times in ms; none where nothing was written yet. `patient`: nobody
        looks at a page meanwhile, and its answer may take as long as that of a write."""
        return await self._ask("GET", {"db": self.place.database, "q": influxql, "epoch": "ms"},
                               patient=patient or self._patient)

    async def command(self, influxql: str) -> None:
        """A statement that changes something: CREATE, ALTER, DROP."""
        await self._ask("POST", {"db": self.place.database, "q": influxql}, patient=True)

    async def _whole(self, asked: Callable[[int, int, int], str], read: Callable[[Found], list[T]],
                     start_ms: int, end_ms: int, most: int) -> list[T]:
        """A page that cuts no time; `asked` makes the question from begin, end and number of rows, 0 for all."""
        rows = read(await self.query(asked(start_ms, end_ms, most)))
        found = whole_times(rows, most)
        if rows and not found:
            at_ms = rows[0][0]
            found = read(await self.query(asked(at_ms, at_ms + 1, 0)))
        return found

    async def _send(self, lines: Sequence[Line], sending: _Sending) -> None:
        answer = await self._post(self.place.write, [line for _, line in lines])
        if answer.said is Said.AWAY:
            raise TransientError(f"{self.place.url}: {answer.words}")
        if answer.said is not Said.REFUSED:
            sending.believed = True
            sending.expired += answer.expired
        elif len(lines) == 1 and "\n" in lines[0][1]:
            await self._send([(line, line) for line in lines[0][1].split("\n")], sending)
        elif len(lines) == 1:
            sending.bad.append((lines[0][0], answer.words))
            if answer.of_lines:
                sending.believed = True
            else:
                sending.doubted = answer.words
                sending.doubts += 1
            if sending.doubts >= _SUSPICIOUS and not sending.believed:
                raise TransientError(f"{self.place.url}: refuses every line: {answer.words}")
        else:
            half = len(lines) // 2
            await self._send(lines[:half], sending)
            await self._send(lines[half:], sending)

    async def _post(self, where: Where, lines: Sequence[str]) -> Answer:
        body = await asyncio.to_thread(body_of, lines, packs=self.packs)
        answer = await self._post_once(where, body)
        if answer.status_code == httpx.codes.NOT_FOUND and self.place.makes_database:
            await self._make_database()
            answer = await self._post_once(where, body)
        return understood(answer)

    async def _post_once(self, where: Where, body: bytes) -> httpx.Response:
        path, parameters = where
        try:
            return await self._client.post(path, params=parameters, content=body,
                                           headers={"Content-Encoding": "gzip"} if self.packs else {})
        except httpx.HTTPError as err:
            raise failed(self.place.url, err) from err

    async def _make_database(self) -> None:
        """The first write finds none, or somebody dropped it."""
        name = identifier(self.place.database)
        await self.command(f"CREATE DATABASE {name}")

    async def _ask(self, method: str, parameters: dict[str, str], *, patient: bool) -> Found:
        if not patient and time.monotonic() < self._rests_until_s:
            raise TransientError(f"{self.place.url}: did not answer in {_READ_TIMEOUT_S:g} s a moment ago")
        try:
            answer = await self._client.request(method, "/query", params=parameters,
                                                timeout=_TIMEOUT_S if patient else _READ_TIMEOUT_S)
        except httpx.HTTPError as err:
            if not patient and isinstance(err, httpx.TimeoutException):
                self._rests_until_s = time.monotonic() + _REST_S
            raise failed(self.place.url, err) from err
        if not answer.is_success:
            raise TransientError(f"{self.place.url}: {answer.status_code} {words_of(answer)}")
        return self._series_of(answer)

    def _series_of(self, answer: httpx.Response) -> Found:
        try:
            (result,) = answer.json()["results"]
        except (ValueError, KeyError, TypeError) as err:
            raise TransientError(f"{self.place.url}: not an answer of InfluxDB: {words_of(answer)}") from err
        if error := result.get("error", ""):
            if error.startswith("database not found"):
                return []  # nothing was written yet
            raise TransientError(f"{self.place.url}: {error}")
        series: Found = result.get("series", [])
        if result.get("partial") or any(one.get("partial") for one in series):
            raise TransientError(f"{self.place.url}: it cuts its answers short; set max-row-limit = 0 in its [http]")
        return series


class InfluxStore(LineStore):
    """InfluxDB 1.x; the database is made when it is missing."""

    def __init__(self, url: str, database: str, user: str = "", password: str = "", token: str = "") -> None:
        super().__init__(influxdb1(url, database, user, password, token))
