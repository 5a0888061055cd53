"""What every driver keeps, found by file name: its captures, and whatever words or bytes may come."""

import ast
import functools
import inspect
import math
import re
import tomllib
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers
from tests.shared_data import REPOSITORY
from tocsin import config, plugins
from tocsin.config import ConfigError, Table
from tocsin.devices import AnyDriver, ListeningDriver, OutputDriver, PolledDriver
from tocsin.quantities import QUANTITIES
from tocsin.readings import Reading, RejectedError, Rejection

CAPTURES = REPOSITORY / "tests" / "captures"
NAMES = plugins.names(drivers)
KEYS = {"source", "settings", "requests", "answers", "frame", "writes", "is_on", "readings", "rejections"}
# MODBUS Application Protocol 1.1b3, 6.1 to 6.4: how many bits or registers one read may ask for.
MOST = {1: 2000, 2: 2000, 3: 125, 4: 125}
REACH_OUT = {
    "asyncio", "logging", "os", "pathlib", "pymodbus", "select", "serial", "socket", "subprocess", "threading", "time",
}

WORDS = st.one_of(st.integers(0, 0xFFFF), st.sampled_from([0, 1, 0x7FFF, 0x8000, 0xFFFF]), st.integers(-2, 0x2_0000))


def captures(name: str) -> list[Path]:
    return sorted((CAPTURES / name).glob("*.toml"))


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def driver_of(name: str, settings: dict[str, Any]) -> AnyDriver:
    module = plugins.load(drivers, name)
    driver: AnyDriver = module.Driver(config.convert(settings, module.Settings, name))
    return driver


@functools.cache
def sample_settings(name: str) -> list[dict[str, Any]]:
    """Every different set of settings in the driver's captures."""
    found: list[dict[str, Any]] = []
    for path in captures(name):
        if (settings := read(path)["settings"]) not in found:
            found.append(settings)
    return found


def quantities_of(name: str) -> set[str]:
    """All that the driver gives with one or other of its sample settings."""
    made = [driver_of(name, settings) for settings in sample_settings(name)]
    return {quantity for driver in made if not isinstance(driver, OutputDriver) for quantity in driver.quantities}


SAMPLES = [(name, settings) for name in NAMES for settings in sample_settings(name)]
POLLED = [(n, s) for n, s in SAMPLES if isinstance(driver_of(n, s), PolledDriver)]
LISTENING = [(n, s) for n, s in SAMPLES if isinstance(driver_of(n, s), ListeningDriver)]
OUTPUTS = [(n, s) for n, s in SAMPLES if isinstance(driver_of(n, s), OutputDriver)]
EVERY_CAPTURE = [pytest.param(name, path, id=f"{name}/{path.stem}") for name in NAMES for path in captures(name)]


def reads_of(driver: AnyDriver) -> list[Any]:
    if isinstance(driver, PolledDriver):
        return list(driver.requests)
    if isinstance(driver, OutputDriver):
        return [driver.feedback] if driver.feedback else []
    return []


def outcome(driver: AnyDriver, capture: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Readings by quantity, and (reason, quantity) of every refusal."""
    try:
        if isinstance(driver, PolledDriver):
            found = driver.decode(capture["answers"])
        elif isinstance(driver, ListeningDriver):
            found = driver.decode(capture["frame"].encode("ascii"))
        else:
            return {"is_on": driver.is_on(capture["answers"][0])} if "answers" in capture else {}, []
    except RejectedError as err:
        return {}, [(err.reason.value, "")]
    readings = [item for item in found if isinstance(item, Reading)]
    values = {reading.quantity: reading.value for reading in readings}
    assert len(values) == len(readings), "a quantity came twice"
    return values, [(item.reason.value, item.quantity) for item in found if isinstance(item, Rejection)]


@pytest.mark.parametrize(("name", "path"), EVERY_CAPTURE)
def test_capture(name: str, path: Path) -> None:
    capture = read(path)
    driver = driver_of(name, capture["settings"])
    values = dict(capture.get("readings", {}))
    if "is_on" in capture:
        values["is_on"] = capture["is_on"]
    refused = [(item["reason"], item.get("quantity", "")) for item in capture.get("rejections", [])]
    assert outcome(driver, capture) == (values, refused)
    if "requests" in capture:
        assert [astuple(request) for request in reads_of(driver)] == [tuple(row) for row in capture["requests"]]
    if "writes" in capture:
        assert isinstance(driver, OutputDriver)
        for on in (True, False):
            wanted = [tuple(row) for row in capture["writes"]["on" if on else "off"]]
            assert [astuple(write) for write in driver.command(on=on)] == wanted


@pytest.mark.parametrize(("name", "path"), EVERY_CAPTURE)
def test_capture_says_where_it_comes_from(name: str, path: Path) -> None:
    capture = read(path)
    assert len(capture["source"]) > 20
    assert set(capture) <= KEYS
    assert set(capture) & {"readings", "rejections", "is_on", "writes"}, "expects nothing"


def test_every_driver_has_captures_and_every_capture_a_driver() -> None:
    assert [folder.name for folder in sorted(CAPTURES.iterdir())] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_captures_show_every_quantity_read_and_refused_and_the_requests(name: str) -> None:
    seen = [read(path) for path in captures(name)]
    wanted = quantities_of(name)
    assert {quantity for capture in seen for quantity in capture.get("readings", {})} == wanted
    refused = {item.get("quantity", "") for capture in seen for item in capture.get("rejections", [])}
    assert refused == wanted | {""}
    assert any("requests" in capture for capture in seen) or (name, seen[0]["settings"]) in LISTENING


@pytest.mark.parametrize("name", NAMES)
def test_module_comment_is_the_register_table(name: str) -> None:
    doc = plugins.load(drivers, name).__doc__ or ""
    assert re.search(r"^ {4}\S+.*\S {2,}\S", doc, re.MULTILINE), "no table in the module's docstring"


@pytest.mark.parametrize("name", NAMES)
def test_driver_imports_nothing_that_reaches_out_and_no_other_driver(name: str) -> None:
    tree = ast.parse(inspect.getsource(plugins.load(drivers, name)))
    froms = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {module.split(".")[0] for module in froms | plain} & REACH_OUT
    assert all(module.startswith("drivers._") for module in froms | plain if module.split(".")[0] == "drivers")


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_a_table_whose_unknown_keys_are_errors(name: str) -> None:
    assert issubclass(plugins.load(drivers, name).Settings, Table)
    with pytest.raises(ConfigError, match='station: "colour" is not a key'):
        config.convert({**sample_settings(name)[0], "colour": "red"}, plugins.load(drivers, name).Settings, "station")


@pytest.mark.parametrize(("name", "settings"), SAMPLES)
def test_driver_is_of_one_kind(name: str, settings: dict[str, Any]) -> None:
    driver = driver_of(name, settings)
    assert [isinstance(driver, kind) for kind in (PolledDriver, ListeningDriver, OutputDriver)].count(True) == 1


@pytest.mark.parametrize(("name", "settings"), [*POLLED, *LISTENING])
def test_quantities_are_shared_words(name: str, settings: dict[str, Any]) -> None:
    driver = driver_of(name, settings)
    assert isinstance(driver, PolledDriver | ListeningDriver)
    assert driver.quantities
    assert set(driver.quantities) <= set(QUANTITIES)
    assert len(set(driver.quantities)) == len(driver.quantities)


def highest(name: str, settings: dict[str, Any], key: str) -> dict[str, Any]:
    """The settings with `key` as high as it is accepted, found by bisection."""
    module = plugins.load(drivers, name)
    low, high = 0, 0x1_0001
    while high - low > 1:
        middle = (low + high) // 2
        try:
            config.convert({**settings, key: middle}, module.Settings, name)
            low = middle
        except ConfigError:
            high = middle
    return {**settings, key: low}


ADDRESS_KEYS = [
    (name, settings, key)
    for name, settings in [*POLLED, *OUTPUTS]
    for key in ("address", "coil", "current_register" if "current_register" in settings else "feedback_input")
    if key in plugins.load(drivers, name).Settings.__struct_fields__
]


@pytest.mark.parametrize(("name", "settings", "key"), ADDRESS_KEYS)
def test_reads_and_writes_stay_within_modbus_up_to_the_highest_address(
    name: str, settings: dict[str, Any], key: str
) -> None:
    ends = []
    for each in (settings, highest(name, settings, key)):
        driver = driver_of(name, each)
        for request in reads_of(driver):
            assert 1 <= request.count <= MOST[request.function]
            assert 0 <= request.address <= 0x1_0000 - request.count
            ends.append(request.address + request.count)
        if isinstance(driver, OutputDriver):
            for write in (*driver.command(on=True), *driver.command(on=False)):
                assert write.function in {5, 6}
                assert 0 <= write.address <= 0xFFFF
                ends.append(write.address + 1)
    assert max(ends) == 0x1_0000, "the last address of the bus cannot be reached"


def check_found(driver: PolledDriver | ListeningDriver, found: Sequence[Reading | Rejection]) -> None:
    """Only promised quantities, each once at most, and only finite numbers."""
    names = [item.quantity for item in found]
    assert len(set(names)) == len(names)
    assert set(names) <= set(driver.quantities)
    for item in found:
        assert type(item.value) is float and math.isfinite(item.value) if isinstance(item, Reading) else item.detail


@pytest.mark.parametrize("name", sorted({name for name, _ in POLLED}))
@given(data=st.data())
def test_noise_of_words_is_read_or_rejected_and_twice_the_same(name: str, data: st.DataObject) -> None:
    driver = driver_of(name, data.draw(st.sampled_from(sample_settings(name))))
    assert isinstance(driver, PolledDriver)
    shaped = st.tuples(*(st.lists(WORDS, min_size=r.count, max_size=r.count) for r in driver.requests)).map(list)
    answers = data.draw(st.one_of(shaped, st.lists(st.lists(WORDS, max_size=8), max_size=3)))
    before = [list(answer) for answer in answers]
    try:
        found = driver.decode(answers)
    except RejectedError as err:
        with pytest.raises(RejectedError, match=re.escape(str(err))):
            driver.decode(answers)
    else:
        check_found(driver, found)
        assert driver.decode(answers) == found
        assert [len(answer) for answer in answers] == [request.count for request in driver.requests]
        assert all(0 <= word <= 0xFFFF for answer in answers for word in answer)
    assert answers == before, "decode changed what it was given"


@pytest.mark.parametrize("name", sorted({name for name, _ in LISTENING}))
@given(data=st.data())
def test_noise_of_bytes_is_read_or_rejected_and_twice_the_same(name: str, data: st.DataObject) -> None:
    driver = driver_of(name, data.draw(st.sampled_from(sample_settings(name))))
    assert isinstance(driver, ListeningDriver)
    good = [read(path)["frame"].encode("ascii") for path in captures(name)]
    changed = st.builds(
        lambda frame, at, byte: frame[:at] + byte + frame[at + 1:],
        st.sampled_from(good), st.integers(0, 30), st.binary(max_size=2))
    frame = data.draw(st.one_of(st.binary(max_size=200), changed, st.sampled_from(good)))
    try:
        found = driver.decode(frame)
    except RejectedError as err:
        with pytest.raises(RejectedError, match=re.escape(str(err))):
            driver.decode(frame)
    else:
        check_found(driver, found)
        assert driver.decode(frame) == found


@pytest.mark.parametrize(("name", "settings"), OUTPUTS)
@given(answer=st.lists(WORDS, max_size=3))
def test_feedback_is_one_bit_or_one_current_or_rejected(name: str, settings: dict[str, Any], answer: list[int]) -> None:
    driver = driver_of(name, settings)
    assert isinstance(driver, OutputDriver)
    least = settings.get("sounds_from", 1)
    if len(answer) == 1 and 0 <= answer[0] <= (0xFFFF if "sounds_from" in settings else 1):
        assert driver.is_on(answer) is (answer[0] >= least)
    else:
        with pytest.raises(RejectedError):
            driver.is_on(answer)
