"""What every test may ask for: real servers, a browser, and how long to try."""

import logging
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar
from uuid import uuid4

import httpx
import pytest
from hypothesis import settings
from litestar import Litestar

from hub.embedded import SqliteStore
from hub.influx import InfluxStore
from hub.store import Store
from hub.web.app import app
from tests.browser import Browser, open_browser
from tests.hub_web_archive import close_archives
from tests.hub_web_view import PlainView, client_of, storm
from tests.services import InfluxDb, Mosquitto, Server
from tests.shared_data import REPOSITORY
from tests.steady import SteadyLoop
from tests.victoria_metrics import VictoriaMetrics
from tests.village import Village

settings.register_profile("quick", deadline=None)
settings.register_profile("prove", deadline=None, max_examples=2_000)


class NewMosquitto(Protocol):
    """Starts a broker that is the test's own."""

    def __call__(self, *, persistence: bool = False, max_queued: int | None = None) -> Mosquitto: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--prove", action="store_true", help="try everything for longer: big counts, many random examples")


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], SteadyLoop]]:
    return {"steady": SteadyLoop}


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("prove" if config.getoption("--prove") else "quick")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        # pytest formats every record and fails on one that cannot be formatted: so none may be dropped for its level
        logging.getLogger(package).setLevel(logging.DEBUG)


@pytest.fixture(scope="session")
def count(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """`count(small, large)`: the small number in `make test`, the large one in `make prove`."""
    prove = bool(request.config.getoption("--prove"))

    def choose(small: int, large: int) -> int:
        return large if prove else small

    return choose


S = TypeVar("S", bound=Server)


def _running(server: S) -> Iterator[S]:
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker for the whole run: use topics of your own; stop, kill or wipe one from `new_mosquitto`."""
    yield from _running(Mosquitto(tmp_path_factory.mktemp("mosquitto")))


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDb]:
    """A store for the whole run: create a database of your own; stop, kill or wipe one from `new_influxdb`."""
    yield from _running(InfluxDb(tmp_path_factory.mktemp("influxdb")))


@pytest.fixture(scope="session")
def victoria_metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """For the whole run: use stations of your own."""
    yield from _running(VictoriaMetrics(tmp_path_factory.mktemp("victoria-metrics")))


@pytest.fixture
def new_mosquitto(tmp_path: Path) -> Iterator[NewMosquitto]:
    """`new_mosquitto(persistence=False, max_queued=None)`: a started broker for one test, to do with as it likes."""
    with ExitStack() as stack:

        def make(*, persistence: bool = False, max_queued: int | None = None) -> Mosquitto:
            folder = tmp_path / f"mosquitto-{uuid4().hex[:8]}"
            server = Mosquitto(folder, persistence=persistence, max_queued=max_queued)
            stack.callback(server.kill)
            server.start()
            return server

        yield make


@pytest.fixture
def new_influxdb(tmp_path: Path) -> Iterator[Callable[[], InfluxDb]]:
    """`new_influxdb()`: a started store for one test, to do with as it likes."""
    with ExitStack() as stack:

        def make() -> InfluxDb:
            server = InfluxDb(tmp_path / f"influxdb-{uuid4().hex[:8]}")
            stack.callback(server.kill)
            server.start()
            return server

        yield make


@pytest.fixture(params=["embedded", "influxdb"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind; the test is run with each."""
    made: Store
    if request.param == "embedded":
        made = SqliteStore(tmp_path / "store.sqlite")
    else:
        server: InfluxDb = request.getfixturevalue("influxdb")
        made = InfluxStore(server.url, f"store_{uuid4().hex}")
    yield made
    await made.close()


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """`await chromium.phone()` and `.desktop()` give pages; an error in a page's script fails the test at its end."""
    async with open_browser() as browser:
        yield browser
        if browser.errors:
            pytest.fail("errors in page scripts: " + "; ".join(browser.errors))


@pytest.fixture(autouse=True)
def no_archive_left_open() -> Iterator[None]:
    """The pages' view makes one whenever it is asked."""
    yield
    close_archives()


@pytest.fixture
def view(tmp_path: Path) -> PlainView:
    """What the hub's pages and API show, in a storm."""
    return storm(tmp_path)


@pytest.fixture
async def client(view: PlainView) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(view) as client:
        yield client


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[PlainView, Litestar]:
    """For many requests that must change nothing: building the application takes longer than answering them."""
    view = storm(tmp_path_factory.mktemp("cap"))
    return view, app(view)


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    """A hub's desk, and the stations of its area and of the next one."""
    there = Village(tmp_path)
    for station in ("upper-bridge", "mill-creek", "next-door"):
        there.starts(station)
    yield there
    there.close()
