"""The hub's configuration file, hub.toml. `hub/sample.toml` shows every key with its default."""

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from hub.config_api import ApiTable
from hub.config_landing import LandingTable
from hub.config_officers import EXAMPLE_PASSWORD, EXAMPLE_WARNING, OfficerTable
from hub.config_operations import BackupTable, WatchdogTable
from hub.config_store import StoreTable
from hub.model import Tier
from tocsin.broker import Broker, problems_of
from tocsin.config import AreaCode, ConfigError, FileName, FileOrNone, HexKey, StationId, Table, load, twice
from tocsin.levels import Hazard
from tocsin.signing import EXAMPLE_KEY, EXAMPLE_KEY_WARNING, public_key_of

Address = Annotated[str, msgspec.Meta(pattern=r"^[^:\s]+:[0-9]{1,5}\Z", description="host:port")]
PublicUrl = Annotated[
    str, msgspec.Meta(pattern=r"^$|^https?://[^\s/]+", description='an address like https://hub.example.org, or ""')
]
EventCode = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{2}[A-Z][0-9]{2}\Z", description="five characters, like 11B03")]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
EMBEDDED = "embedded:"
_PORTS = range(65536)


class HubTable(Table, frozen=True):
    """[hub]"""

    name: str
    broker: str
    private_key: HexKey
    name_zh: str = ""
    data: FileName = "hub-data"
    listen: Address = "127.0.0.1:8080"
    public_url: PublicUrl = ""
    timezone: str = "Asia/Shanghai"
    former_keys: list[HexKey] = []
    ca: FileOrNone = ""
    cert: FileOrNone = ""
    cert_key: FileOrNone = ""

    def __post_init__(self) -> None:
        if not self.broker.startswith(EMBEDDED):
            Broker.of(self.broker, self.ca, self.cert, self.cert_key)
        elif not _is_port(self.broker.removeprefix(EMBEDDED)):
            raise ValueError(f'broker: "{self.broker}" is not allowed; use embedded:PORT with a port of up to 65535')
        if not _is_port(self.listen.rpartition(":")[2]):
            raise ValueError(f'listen: "{self.listen}" is not allowed; use host:port with a port of up to 65535')
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
            raise ValueError(f'timezone: "{self.timezone}" is not known; use a name like Asia/Shanghai') from None


class StationTable(Table, frozen=True):
    """[[station]]: a station that may speak to this hub, and the key that both share."""

    id: StationId
    key: HexKey


class PersonTable(Table, frozen=True):
    """[[person]]: someone who must answer."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    role: str
    tier: Tier
    area: AreaCode
    phone: str = ""


class CallTable(Table, frozen=True):
    """[call]"""

    repeat_s: Seconds = 100.0
    times: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3
    too_old_s: Seconds = 1800.0


class CapTable(Table, frozen=True):
    """[cap]: `sender` is the sender element of every CAP message, by custom a domain or an address of the issuer.

    `event_code` gives a hazard's code in the receiver's event table (GD/J 082-2018 for county broadcast in China).
    """

    sender: Annotated[str, msgspec.Meta(pattern=r"^[^\s,<&]+$", description="no blank, comma, < or &")]
    folder: FileName = "cap"
    expires_s: Seconds = 6 * 3600.0
    status: Literal["Actual", "Exercise", "Test"] = "Actual"
    event_code: dict[Hazard, EventCode] = {}


class GroupsTable(Table, frozen=True):
    """[groups]: the file of the hub's own rules over several stations; "" for none."""

    rules: FileOrNone = ""


class HubConfig(Table, frozen=True):
    """A whole hub.toml."""

    hub: HubTable
    cap: CapTable
    store: StoreTable = StoreTable()
    landing: LandingTable = LandingTable()
    call: CallTable = CallTable()
    groups: GroupsTable = GroupsTable()
    backup: BackupTable = BackupTable()
    watchdog: WatchdogTable = WatchdogTable()
    api: ApiTable = ApiTable()
    officer: list[OfficerTable] = []
    station: list[StationTable] = []
    person: list[PersonTable] = []

    @property
    def keys(self) -> dict[str, str]:
        return {station.id: station.key for station in self.station}

    @property
    def embedded_port(self) -> int | None:
        """The port that the hub's own broker listens on; None where a broker runs by itself."""
        broker = self.hub.broker
        return int(broker.removeprefix(EMBEDDED)) if broker.startswith(EMBEDDED) else None

    @property
    def broker_url(self) -> str:
        return f"mqtt://127.0.0.1:{self.embedded_port}" if self.embedded_port else self.hub.broker

    @property
    def broker(self) -> Broker:
        """Where the broker is, with the files that TLS needs."""
        if self.embedded_port:
            return Broker.of(self.broker_url)
        return Broker.of(self.hub.broker, self.hub.ca, self.hub.cert, self.hub.cert_key)

    @property
    def public_key(self) -> str:
        return public_key_of(self.hub.private_key)


def load_hub(path: Path) -> HubConfig:
    """A hub to run, with relative folders made relative to the file. Raises ConfigError with every problem, and for
    the keys and passwords of the sample files."""
    config = _read_hub(path)
    if problems := _examples(path, config):
        raise ConfigError(problems)
    return _placed(config, path.parent)


def examples(path: Path) -> list[str]:
    """Why a file without problems cannot run yet, for `tocsin check`: what it still has of the sample files."""
    return _examples(path, _read_hub(path))


def _examples(path: Path, config: HubConfig) -> list[str]:
    keys = {"hub: private_key": config.hub.private_key} | {
        f'station "{station.id}": key': station.key for station in config.station
    }
    problems = [f"{path}: {place}: {EXAMPLE_KEY_WARNING}" for place, key in keys.items() if key == EXAMPLE_KEY]
    return problems + [f'{path}: officer "{officer.name}": {EXAMPLE_WARNING}' for officer in config.officer
                       if officer.password == EXAMPLE_PASSWORD]


def _placed(config: HubConfig, folder: Path) -> HubConfig:
    """With names of files and folders as seen from here."""
    hub = config.hub
    names = {key: str(folder / name) if name else "" for key, name in
             (("data", hub.data), ("ca", hub.ca), ("cert", hub.cert), ("cert_key", hub.cert_key))}
    rules = str(folder / config.groups.rules) if config.groups.rules else ""
    backup = msgspec.structs.replace(config.backup, folder=str(folder / config.backup.folder))
    return msgspec.structs.replace(
        config, hub=msgspec.structs.replace(hub, **names), groups=GroupsTable(rules), backup=backup)


def check(path: Path) -> list[str]:
    """Problems of a hub.toml, for `tocsin check`."""
    try:
        config = _read_hub(path)
    except ConfigError as err:
        return err.problems
    placed = _placed(config, path.parent)
    found = _problems_of_groups(path, placed.groups.rules)
    if not config.hub.broker.startswith(EMBEDDED):
        found += [f"{path}: hub: {problem}" for problem in problems_of(placed.broker)]
    return found


def _problems_of_groups(path: Path, rules: str) -> list[str]:
    from hub import groups_file  # it needs this module

    if not rules:
        return []
    if not Path(rules).is_file():
        return [f'{path}: groups: rules: "{rules}" is not there; name a file beside this one, or its whole path']
    return groups_file.check(Path(rules))


def _read_hub(path: Path) -> HubConfig:
    config = load(path, HubConfig)
    problems = twice(str(path), "station", [station.id for station in config.station])
    problems += twice(str(path), "person", [person.name for person in config.person])
    problems += twice(str(path), "officer", [officer.name for officer in config.officer])
    if problems:
        raise ConfigError(problems)
    return config


def _is_port(text: str) -> bool:
    return text.isdecimal() and int(text) in _PORTS
