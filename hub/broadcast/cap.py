"""CAP 1.2, the OASIS Common Alerting Protocol: one file a bulletin, and an Atom feed of the newest.

    colour    severity   urgency      stage      responseType
    red       Extreme    Immediate    move       Evacuate
    orange    Severe     Expected     prepare    Prepare
    yellow    Moderate   Expected     watch      Monitor
    blue      Minor      Future       (close)    AllClear

Certainty is Observed: an instrument crossed its threshold. The colour map is a choice; no standard fixes it. A closing
bulletin is an Update with AllClear that expires soon: Cancel means "issued in error". A published file is never
changed. Order of elements and form of times follow CAP-v1.2.xsd: no fraction, no Z, UTC is -00:00.
"""

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from lxml import etree

from hub import bulletin as words
from hub.config import HubConfig
from hub.errors import PermanentError, TransientError
from hub.model import Warning as HubWarning
from hub.publish import Publish
from tocsin.beside import Threads
from tocsin.levels import Hazard, Level, Stage
from tocsin.log import replace_file
from tocsin.messages import Bulletin, BulletinKind
from tocsin.times import iso, utc

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
ATOM = "http://www.w3.org/2005/Atom"
MARGIN_KM = 2.0  # around the stations: the geocode says exactly which area is meant
FEED_ENTRIES = 50
_EARTH_KM = 6371.0

_CATEGORY = {Hazard.FLOOD: "Met", Hazard.GAS: "CBRNE", Hazard.TANK: "Infra", Hazard.SLOPE: "Geo"}
_SEVERITY = {Level.BLUE: "Minor", Level.YELLOW: "Moderate", Level.ORANGE: "Severe", Level.RED: "Extreme"}
_URGENCY = {Level.BLUE: "Future", Level.YELLOW: "Expected", Level.ORANGE: "Expected", Level.RED: "Immediate"}
_RESPONSE = {Stage.WATCH: "Monitor", Stage.PREPARE: "Prepare", Stage.MOVE: "Evacuate"}


class Channel:
    """Writes `<data>/<cap folder>/<identifier>.xml`; the web part serves the folder."""

    retained = False

    def __init__(self, config: HubConfig, publish: Publish) -> None:  # noqa: ARG002 - every channel is made alike
        self._config = config
        self._folder = folder_of(config)
        # not one of those in which names are looked up and pages read files: a bulletin must not wait for what hangs
        self._thread = Threads(1, "cap")

    async def send(self, bulletin: Bulletin, warning: HubWarning) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, bulletin, warning)

    def _write(self, bulletin: Bulletin, warning: HubWarning) -> str:
        path = self._folder / f"{bulletin.id}.xml"
        if not path.exists():  # written before a crash: what was published stays as it was
            try:
                data = alert(self._config, bulletin, warning)
            except ValueError as err:
                raise PermanentError(f"cap: {bulletin.id}: {err}") from err
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                replace_file(path, data, sync=True)
            except OSError as err:
                raise TransientError(f"cap: {path} cannot be written: {err.strerror}") from err
        return path.name


def folder_of(config: HubConfig) -> Path:
    return Path(config.hub.data) / config.cap.folder


def alert(config: HubConfig, bulletin: Bulletin, warning: HubWarning) -> bytes:
    """The message as UTF-8 XML. Raises ValueError for text that XML cannot carry."""
    zone = ZoneInfo(config.hub.timezone)
    references = " ".join(
        f"{config.cap.sender},{name},{cap_time(said, zone)}"
        for name, said in zip(warning.bulletins, warning.said, strict=True)
        if name in bulletin.references
    )
    root = _cap(
        "alert",
        _cap("identifier", bulletin.id),
        _cap("sender", config.cap.sender),
        _cap("sent", cap_time(bulletin.sent, zone)),
        _cap("status", config.cap.status),
        _cap("msgType", "Alert" if bulletin.kind is BulletinKind.ALERT else "Update"),
        _cap("source", config.hub.name),
        _cap("scope", "Public"),
        *([_cap("references", references)] if references else []),
        _cap("incidents", bulletin.warning),
        _info(config, bulletin, warning, "en-US"),
        _info(config, bulletin, warning, "zh-CN"),
    )
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def cap_time(ms: int, zone: ZoneInfo) -> str:
    """As in 2024-08-08T15:20:00+08:00, the fraction cut off; UTC is written -00:00."""
    moment = utc(ms).astimezone(zone)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + _offset(moment)


def feed(folder: Path, title: str = "tocsin") -> bytes:
    """An Atom feed of the newest messages in the folder, newest first. What is not a CAP message is left out."""
    paths = sorted(folder.glob("*.xml"), key=lambda path: path.stat().st_mtime_ns, reverse=True)[:FEED_ENTRIES]
    entries = sorted((entry for path in paths if (entry := _entry(path)) is not None), key=_updated, reverse=True)
    root = _atom(
        "feed",
        _atom("id", "urn:tocsin:cap"),
        _atom("title", title),
        _atom("updated", _updated(entries[0]) if entries else iso(0)),
        _atom("author", _atom("name", title)),
        _atom("link", rel="self", href="/cap/feed.atom"),
        *entries,
    )
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def parse(data: bytes) -> etree._Element:
    """A CAP message, with DTD, entities and network off. Raises ValueError."""
    parser = etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as err:
        raise ValueError(f"not XML: {err}") from err
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("a document type declaration is not allowed in a CAP message")
    if root.tag != f"{{{NAMESPACE}}}alert":
        raise ValueError(f"{root.tag} is not a CAP 1.2 alert")
    return root


def _info(config: HubConfig, bulletin: Bulletin, warning: HubWarning, language: str) -> etree._Element:
    zone = ZoneInfo(config.hub.timezone)
    english = language == "en-US"
    closing = bulletin.kind is BulletinKind.CLOSE
    level = Level(bulletin.level)
    hazard, place = bulletin.hazard, bulletin.place if english else bulletin.place_zh
    event_code = config.cap.event_code.get(hazard, "")
    sender_name = config.hub.name if english else config.hub.name_zh or config.hub.name
    expires = max(bulletin.expires, bulletin.sent + 1000)  # times carry no fraction: never expired when sent
    return _cap(
        "info",
        _cap("language", language),
        _cap("category", _CATEGORY[hazard]),
        _cap("event", hazard.en if english else hazard.zh),
        _cap("responseType", "AllClear" if closing else _RESPONSE[bulletin.stage]),
        _cap("urgency", "Past" if closing else _URGENCY[level]),
        _cap("severity", "Minor" if closing else _SEVERITY[level]),
        _cap("certainty", "Observed"),
        *_pairs("eventCode", [("tocsin:hazard", hazard.value), ("GD/J 082-2018", event_code)]),
        _cap("effective", cap_time(bulletin.sent, zone)),
        _cap("expires", cap_time(expires, zone)),
        _cap("senderName", sender_name),
        _cap("headline", words.headline_en(bulletin) if english else words.headline_zh(bulletin)),
        _cap("description", bulletin.text_en if english else bulletin.text_zh),
        _cap("instruction", words.instruction_en(bulletin) if english else words.instruction_zh(bulletin)),
        *_web(config, bulletin),
        *_pairs("parameter", [("colour", level.word), ("颜色", level.zh), ("stage", bulletin.stage.value)]),
        _cap("area", _cap("areaDesc", place), *_circle(warning), *_pairs("geocode", [("area", bulletin.area)])),
    )


def _pairs(tag: str, pairs: Sequence[tuple[str, str]]) -> list[etree._Element]:
    return [_cap(tag, _cap("valueName", name), _cap("value", value)) for name, value in pairs if value]


def _web(config: HubConfig, bulletin: Bulletin) -> list[etree._Element]:
    url = config.hub.public_url.rstrip("/")
    return [_cap("web", f"{url}/warnings/{bulletin.warning}")] if url else []


def _circle(warning: HubWarning) -> list[etree._Element]:
    """Around the stations of the warning; none where no position is known."""
    live = [episode for episode in warning.episodes.values() if not episode.historic]
    points = sorted({
        (episode.latitude, episode.longitude)
        for episode in live
        if episode.latitude is not None and episode.longitude is not None
    })
    if not points:
        return []
    latitude = sum(point[0] for point in points) / len(points)
    longitude = sum(point[1] for point in points) / len(points)
    radius = MARGIN_KM + max(_distance_km(latitude, longitude, *point) for point in points)
    return [_cap("circle", f"{latitude:.5f},{longitude:.5f} {math.ceil(radius * 10) / 10:.1f}")]


def _distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """On a sphere; good to half a percent."""
    first, second = math.radians(latitude), math.radians(other_latitude)
    across = math.radians(other_longitude - longitude)
    half = math.sin((second - first) / 2) ** 2 + math.cos(first) * math.cos(second) * math.sin(across / 2) ** 2
    return 2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half)))


def _offset(moment: datetime) -> str:
    offset = moment.utcoffset() or timedelta()
    minutes = abs(offset) // timedelta(minutes=1)
    return f"{'+' if offset > timedelta() else '-'}{minutes // 60:02d}:{minutes % 60:02d}"


def _entry(path: Path) -> etree._Element | None:
    try:
        root = parse(path.read_bytes())
        sent = datetime.fromisoformat(_text(root, "sent").replace("-00:00", "+00:00"))
    except (OSError, ValueError):
        return None
    return _atom(
        "entry",
        _atom("id", f"urn:tocsin:cap:{_text(root, 'identifier')}"),
        _atom("title", _text(root, "info/headline")),
        _atom("updated", iso(round(sent.timestamp()) * 1000)),
        _atom("summary", _text(root, "info/description")),
        _atom("link", rel="alternate", type="application/cap+xml", href=f"/cap/{path.name}"),
    )


def _cap(name: str, *content: str | etree._Element) -> etree._Element:
    return _filled(etree.Element(f"{{{NAMESPACE}}}{name}", nsmap=_default(NAMESPACE)), content)


def _atom(name: str, *content: str | etree._Element, **attributes: str) -> etree._Element:
    return _filled(etree.Element(f"{{{ATOM}}}{name}", attributes, nsmap=_default(ATOM)), content)


def _default(namespace: str) -> Any:
    """The namespace map of an unprefixed namespace, which lxml's stubs do not know."""
    return {None: namespace}


def _filled(element: etree._Element, content: Sequence[str | etree._Element]) -> etree._Element:
    for part in content:
        if isinstance(part, str):
            element.text = part
        else:
            element.append(part)
    return element


def _updated(element: etree._Element) -> str:
    return element.findtext(f"{{{ATOM}}}updated") or ""


def _text(root: etree._Element, path: str) -> str:
    return root.findtext("/".join(f"{{{NAMESPACE}}}{part}" for part in path.split("/"))) or ""
