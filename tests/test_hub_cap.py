"""CAP 1.2: the schema, the rules that the schema does not check, golden files, the folder and its feed."""

import asyncio
import re
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from hub.broadcast import cap
from hub.bulletin import compose
from hub.config import HubConfig
from hub.errors import PermanentError, TransientError
from hub.model import Warning as HubWarning
from hub.warnings import said, step
from tests.shared_data import shared_path
from tests.village import POLICY, at, changed, config, detection
from tocsin.beside import Threads
from tocsin.levels import Hazard, Level, Stage
from tocsin.messages import Bulletin, BulletinKind

GOLDEN = Path(__file__).parent / "golden" / "cap"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d")
NS = {"cap": cap.NAMESPACE}
ATOM = {"atom": cap.ATOM}
Schema = Callable[[bytes], None]


@pytest.fixture(scope="session")
def valid() -> Schema:
    """Raises where a message does not fit the standard's schema."""
    schema = etree.XMLSchema(etree.parse(str(shared_path("data/standards/cap/CAP-v1.2.xsd"))))
    return lambda data: schema.assertValid(etree.fromstring(data))


async def no_publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
    raise AssertionError("CAP needs no broker")


def say(
    warning: HubWarning, kind: BulletinKind, when: str, hub: HubConfig, version: int
) -> tuple[HubWarning, Bulletin]:
    bulletin = compose(
        warning, kind, version=version, now_ms=at(when), expires_s=6 * 3600, zone=ZoneInfo(hub.hub.timezone),
        status=hub.cap.status,
    )
    return said(warning, bulletin.id, bulletin.sent), bulletin


def flood(hub: HubConfig) -> dict[str, tuple[HubWarning, Bulletin]]:
    """A flood from alert to all-clear: the warning and the bulletin at each step."""
    warning: HubWarning | None = None
    told: dict[str, tuple[HubWarning, Bulletin]] = {}
    rain = detection(
        Level.ORANGE, "14:05", 1, rule="rain-3h", series="gauge/rain_total_mm", over_s=10800,
        value=100.2, threshold=100.0,
    )
    steps = [
        ("alert", BulletinKind.ALERT, [changed(rain)]),
        ("update", BulletinKind.UPDATE, [changed(detection(Level.RED, "14:20", 1), station="mill-creek")]),
        ("close", BulletinKind.CLOSE, [
            changed(detection(Level.CLEAR, "16:00", 2, rule="rain-3h", series="gauge/rain_total_mm", over_s=10800)),
            changed(detection(Level.CLEAR, "17:30", 2), station="mill-creek"),
        ]),
    ]
    for version, (name, kind, events) in enumerate(steps, 7):
        for event in events:
            warning, _ = step(warning, event, event.detection.t, POLICY)
        assert warning is not None
        when = {"alert": "14:05:02", "update": "14:20:02", "close": "17:30:02"}[name]
        warning, bulletin = say(warning, kind, when, hub, version)
        told[name] = warning, bulletin
    return told


@pytest.mark.parametrize("name", ["alert", "update", "close"])
def test_golden(name: str, valid: Schema) -> None:
    hub = config(public_url="https://warn.example.org/")
    warning, bulletin = flood(hub)[name]
    data = cap.alert(hub, bulletin, warning)
    valid(data)
    assert data.decode() == (GOLDEN / f"{name}.xml").read_text(encoding="utf-8")


def _text(element: etree._Element, path: str) -> str:
    found = element.findtext("/".join(f"cap:{part}" for part in path.split("/")), namespaces=NS)
    assert found is not None, path
    return found


def _follows_the_text_of_the_standard(data: bytes) -> None:
    """What the XSD does not check, as far as domain knowledge has a source for it."""
    root = etree.fromstring(data)
    identifier, sender, sent = (_text(root, name) for name in ("identifier", "sender", "sent"))
    for name in (identifier, sender):
        assert not re.search(r"[\s,<&]", name)
    references = (root.findtext("cap:references", namespaces=NS) or "").split(" ")
    if _text(root, "msgType") == "Update":
        for triple in references:
            other_sender, other, other_sent = triple.split(",")
            assert (other_sender, other != identifier) == (sender, True)
            assert datetime.fromisoformat(other_sent) <= datetime.fromisoformat(sent)
    else:
        assert references == [""]
    for info in root.iterfind("cap:info", NS):
        effective, expires = (datetime.fromisoformat(_text(info, name)) for name in ("effective", "expires"))
        assert datetime.fromisoformat(sent) <= effective < expires
        for circle in info.iterfind("cap:area/cap:circle", NS):
            latitude, longitude, radius = map(float, re.split("[, ]", circle.text or ""))
            assert abs(latitude) <= 90
            assert abs(longitude) <= 180
            assert radius >= cap.MARGIN_KM
    for name in ("sent", "effective", "expires"):
        for element in root.iter(f"{{{cap.NAMESPACE}}}{name}"):
            assert TIME.fullmatch(element.text or ""), element.text
    assert [_text(info, "language") for info in root.iterfind("cap:info", NS)] == ["en-US", "zh-CN"]


@given(
    kind=st.sampled_from(BulletinKind),
    level=st.sampled_from([Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED]),
    hazard=st.sampled_from(Hazard),
    stage=st.sampled_from(Stage),
    sent=st.integers(946_684_800_000, 4_102_444_800_000),
    expires_s=st.floats(0.001, 1e6),
    zone=st.sampled_from(["UTC", "Asia/Shanghai", "Asia/Kathmandu", "America/St_Johns", "Europe/London"]),
    names=st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=20),
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
)
def test_every_bulletin_is_valid_and_follows_the_text(
    valid: Schema, kind: BulletinKind, level: Level, hazard: Hazard, stage: Stage, sent: int, expires_s: float,
    zone: str, names: str, latitude: float, longitude: float,
) -> None:
    hub = config(timezone=zone, status="Exercise")
    event = changed(detection(level, "14:05", 1, hazard=hazard, stage=stage))
    event = msgspec.structs.replace(event, place=names, place_zh=names, latitude=latitude, longitude=longitude)
    warning, _ = step(None, event, event.detection.t, POLICY)
    assert warning is not None
    if kind is not BulletinKind.ALERT:
        warning = said(warning, "earlier-1", sent - 5000)
    bulletin = compose(warning, kind, version=3, now_ms=sent, expires_s=expires_s, zone=ZoneInfo(zone))
    data = cap.alert(hub, bulletin, said(warning, bulletin.id, bulletin.sent))
    valid(data)
    _follows_the_text_of_the_standard(data)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", "2024-08-08T06:05:00-00:00"),
        ("Asia/Shanghai", "2024-08-08T14:05:00+08:00"),
        ("Asia/Kathmandu", "2024-08-08T11:50:00+05:45"),
        ("America/St_Johns", "2024-08-08T03:35:00-02:30"),
    ],
)
def test_times_carry_an_offset_and_neither_z_nor_fraction(zone: str, expected: str) -> None:
    assert cap.cap_time(at("14:05") + 999, ZoneInfo(zone)) == expected


@pytest.mark.parametrize(
    ("level", "stage", "expected"),
    [
        (Level.RED, Stage.MOVE, ("Extreme", "Immediate", "Evacuate")),
        (Level.ORANGE, Stage.PREPARE, ("Severe", "Expected", "Prepare")),
        (Level.YELLOW, Stage.WATCH, ("Moderate", "Expected", "Monitor")),
        (Level.BLUE, Stage.WATCH, ("Minor", "Future", "Monitor")),
    ],
)
def test_colours_and_stages(level: Level, stage: Stage, expected: tuple[str, str, str]) -> None:
    warning, _ = step(None, changed(detection(level, "14:05", 1, stage=stage)), at("14:05"), POLICY)
    assert warning is not None
    warning, bulletin = say(warning, BulletinKind.ALERT, "14:05", config(), 1)
    info = etree.fromstring(cap.alert(config(), bulletin, warning)).find("cap:info", NS)
    assert info is not None
    assert tuple(_text(info, name) for name in ("severity", "urgency", "responseType")) == expected
    assert [parameter.findtext("cap:value", namespaces=NS) for parameter in info.iterfind("cap:parameter", NS)] == [
        level.word, level.zh, stage.value
    ]


def test_event_code_of_the_receivers_table_comes_from_the_configuration() -> None:
    hub = config()
    hub = msgspec.structs.replace(hub, cap=msgspec.structs.replace(hub.cap, event_code={Hazard.FLOOD: "11A01"}))
    warning, bulletin = flood(hub)["alert"]
    root = etree.fromstring(cap.alert(hub, bulletin, warning))
    codes = [code.text for code in root.iterfind("cap:info/cap:eventCode/cap:value", NS)]
    assert codes == ["flood", "11A01"] * 2


def test_exercise_is_said_in_the_text() -> None:
    hub = config(status="Exercise")
    _, bulletin = flood(hub)["alert"]
    assert bulletin.text_en.startswith("EXERCISE. ORANGE flood warning")
    assert bulletin.text_zh.startswith("【演练】")


def test_circle_holds_every_station_and_is_absent_without_positions() -> None:
    hub = config()
    warning, bulletin = flood(hub)["update"]
    circle = etree.fromstring(cap.alert(hub, bulletin, warning)).findtext("cap:info/cap:area/cap:circle", "", NS)
    latitude, longitude, radius = map(float, re.split("[, ]", circle))
    assert (latitude, longitude) == pytest.approx((30.26315, 119.73315), abs=1e-5)
    # 1.03 km from the middle to either station, worked by hand: 0.00705 deg north, 0.00695 deg east at 30.26 N
    assert radius == pytest.approx(3.1)
    bare = msgspec.structs.replace(
        warning,
        episodes={k: msgspec.structs.replace(e, latitude=None) for k, e in warning.episodes.items()},
    )
    assert etree.fromstring(cap.alert(hub, bulletin, bare)).find("cap:info/cap:area/cap:circle", NS) is None


async def test_file_is_written_once_and_never_changed(tmp_path: Path) -> None:
    hub = config(tmp_path)
    told = flood(hub)
    channel = cap.Channel(hub, no_publish)
    warning, bulletin = told["alert"]
    assert await channel.send(bulletin, warning) == f"{bulletin.id}.xml"
    path = tmp_path / "cap" / f"{bulletin.id}.xml"
    first = path.read_bytes()
    later, _ = told["close"]
    await channel.send(msgspec.structs.replace(bulletin, text_en="changed"), later)
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == [path.name]


async def test_bulletin_waits_for_nothing_that_hangs(tmp_path: Path) -> None:
    """Threads that names are looked up in, and pages read files in, can all be taken."""
    hub = config(tmp_path)
    warning, bulletin = flood(hub)["alert"]
    gate = threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(Threads(1, "taken"))
    hangs = loop.run_in_executor(None, gate.wait, 20)
    async with asyncio.timeout(30):
        await cap.Channel(hub, no_publish).send(bulletin, warning)
    assert not hangs.done()
    gate.set()
    await hangs


async def test_disk_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "cap").write_text("a file where the folder should be")
    hub = config(tmp_path)
    warning, bulletin = flood(hub)["alert"]
    with pytest.raises(TransientError, match="cannot be written"):
        await cap.Channel(hub, no_publish).send(bulletin, warning)


async def test_text_that_xml_cannot_carry_is_given_up(tmp_path: Path) -> None:
    hub = config(tmp_path)
    warning, bulletin = flood(hub)["alert"]
    with pytest.raises(PermanentError, match="330112100201-7"):
        await cap.Channel(hub, no_publish).send(msgspec.structs.replace(bulletin, place="a\x00b"), warning)


async def test_feed_lists_the_newest_first_and_leaves_out_what_is_no_cap(tmp_path: Path) -> None:
    hub = config(tmp_path)
    channel = cap.Channel(hub, no_publish)
    for warning, bulletin in flood(hub).values():
        await channel.send(bulletin, warning)
    folder = cap.folder_of(hub)
    (folder / "torn.xml").write_bytes(b"<alert")
    (folder / "other.xml").write_bytes(b"<html/>")
    (folder / "no-time.xml").write_bytes(f'<alert xmlns="{cap.NAMESPACE}"/>'.encode())
    root = etree.fromstring(cap.feed(folder, "Lin'an"))
    assert root.findtext("atom:updated", "", ATOM) == "2024-08-08T09:30:02Z"
    assert [
        (entry.findtext("atom:title", "", ATOM), entry.find("atom:link", ATOM).get("href"))  # type: ignore[union-attr]
        for entry in root.iterfind("atom:entry", ATOM)
    ] == [
        ("Flood warning is over: Upper Bridge, Mill Creek", "/cap/330112100201-9.xml"),
        ("RED flood warning (update): Mill Creek, Upper Bridge", "/cap/330112100201-8.xml"),
        ("ORANGE flood warning: Upper Bridge", "/cap/330112100201-7.xml"),
    ]


def test_feed_of_a_folder_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    root = etree.fromstring(cap.feed(tmp_path / "cap"))
    assert root.findtext("atom:updated", "", ATOM) == "1970-01-01T00:00:00Z"
    assert root.find("atom:entry", ATOM) is None


def test_message_with_entities_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the hub's key")
    attack = (
        f'<!DOCTYPE alert [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
        f'<alert xmlns="{cap.NAMESPACE}"><identifier>&x;</identifier></alert>'
    )
    with pytest.raises(ValueError, match="document type"):
        cap.parse(attack.encode())
    folder = tmp_path / "cap"
    folder.mkdir()
    (folder / "attack.xml").write_text(attack)
    assert b"key" not in cap.feed(folder)


@pytest.mark.parametrize("name", ["australia.cap", "canada.cap", "cap_amber_alert_example.xml"])
def test_messages_of_other_services_are_read(name: str) -> None:
    assert cap.parse(shared_path(f"data/standards/cap/{name}").read_bytes()).tag.endswith("}alert")
