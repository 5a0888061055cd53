"""Brings the dashboards to Grafana: as files that it reads when it starts, or through its HTTP API."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec
from grafana_client.api import GrafanaApi
from grafana_client.client import (
    GrafanaClientError,
    GrafanaException,
    GrafanaServerError,
    GrafanaTimeoutError,
    GrafanaUnauthorizedError,
)
from niquests.exceptions import JSONDecodeError, RequestException

from tocsin import __version__
from tocsin.messages import StationCard

FOLDER = "tocsin"
INFLUXDB = "http://127.0.0.1:8086"
DATABASE = "tocsin"
PASSWORD_FROM = "TOCSIN_INFLUXDB_PASSWORD"  # noqa: S105 - the variable's name, not the password
TIMEOUT_S = 10.0


class ProvisionError(Exception):
    """Dashboards that could not be written or brought to Grafana; says where, what came back, and what to do."""


class Entry(msgspec.Struct, frozen=True):
    """One station of a stations file; other keys are ignored. `card` is null before the station's first start."""

    id: str
    card: StationCard | None


class Entries(msgspec.Struct, frozen=True):
    """A stations file, as the hub gives it at /api/v1/stations. `next` is null where all stations are in it."""

    stations: list[Entry]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The InfluxDB that Grafana reads. With a `user`, Grafana takes the password from its variable PASSWORD_FROM."""

    uid: str
    url: str = INFLUXDB
    database: str = DATABASE
    user: str = ""


def read_stations(path: Path) -> dict[str, StationCard]:
    """Cards by station id from a file as the hub gives it. Raises ProvisionError."""
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=Entries)
    except OSError as err:
        raise ProvisionError(f"{path}: cannot be read: {err.strerror}") from err
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        raise ProvisionError(f"{path}: {err}; give the answer of the hub at /api/v1/stations") from err
    if entries.next is not None:
        raise ProvisionError(f'{path}: next: "{entries.next}": the hub has more stations than this file; '
                             "ask for all of them with ?limit=")
    return {entry.id: entry.card for entry in entries.stations if entry.card is not None}


def write(folder: Path, dashboards: Mapping[str, Mapping[str, Any]], source: Source, seen_as: str = "") -> list[Path]:
    """The files of a provisioned Grafana, below `folder`; returns them. Raises ProvisionError.

    `seen_as` is the dashboards' folder as Grafana sees it, where that differs (a container, another machine).
    """
    home = folder.resolve() / "dashboards"
    files = {home / f"{uid}.json": _json(dashboard) for uid, dashboard in dashboards.items()}
    files[folder.resolve() / "provisioning" / "datasources" / "tocsin.yaml"] = source_yaml(source)
    files[folder.resolve() / "provisioning" / "dashboards" / "tocsin.yaml"] = provider_yaml(seen_as or str(home))
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, content)
        except OSError as err:
            raise ProvisionError(f"{path}: cannot be written: {err.strerror}") from err
    return list(files)


def source_yaml(source: Source) -> str:
    """Grafana's provisioning of the data source, in InfluxQL."""
    lines = [
        "apiVersion: 1",
        "datasources:",
        "  - name: tocsin",
        f"    uid: {_yaml(source.uid)}",
        "    type: influxdb",
        "    access: proxy",
        f"    url: {_yaml(source.url)}",
        f"    database: {_yaml(source.database)}  # read by Grafana before 9.4",
        *([f"    user: {_yaml(source.user)}"] if source.user else []),
        "    jsonData:",
        "      version: InfluxQL",
        "      httpMode: POST",
        f"      dbName: {_yaml(source.database)}",
        *(["    secureJsonData:", f'      password: "${PASSWORD_FROM}"'] if source.user else []),
    ]
    return "\n".join(lines) + "\n"


def provider_yaml(path: str) -> str:
    """Grafana's provisioning of the dashboards that lie in the folder `path`."""
    lines = [
        "apiVersion: 1",
        "providers:",
        "  - name: tocsin",
        "    type: file",
        f"    folder: {FOLDER}",
        f"    folderUid: {FOLDER}",
        "    allowUiUpdates: false",
        "    updateIntervalSeconds: 30",
        "    options:",
        f"      path: {_yaml(path)}",
    ]
    return "\n".join(lines) + "\n"


class Grafana:
    """`with Grafana(url, token) as grafana:` a server's HTTP API. Every refusal is a ProvisionError in words."""

    def __init__(self, url: str, token: str) -> None:
        """`url` as in the browser, with a path where Grafana is served under one. Raises ProvisionError."""
        if not _is_address(url):
            raise ProvisionError(f'"{url}" is not the address of a Grafana; use http://host:3000 or https://host/path')
        if not token:
            raise ProvisionError("no token: make a service account with role Editor in Grafana and give its token")
        self.url = url
        self._api = GrafanaApi.from_url(url.rstrip("/") + "/", credential=token, timeout=TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.client.s.close()

    def source_is_there(self, uid: str) -> bool:
        """False where the token may not see data sources. Raises ProvisionError where there is none of that uid."""
        found = self._ask(partial(self._api.datasource.get_datasource_by_uid, uid), absent=True, forbidden=True)
        if found == 404:
            raise ProvisionError(f'{self.url}: no data source with uid "{uid}"; make it, or name yours: --datasource')
        return found != 403

    def push(self, dashboards: Mapping[str, Mapping[str, Any]], folder: str = FOLDER) -> list[str]:
        """Puts the dashboards into the folder of that uid, made where absent; returns their addresses.

        What was there under the same uid is overwritten. Raises ProvisionError.
        """
        if self._ask(partial(self._api.folder.get_folder, folder), absent=True) == 404:
            self._ask(partial(self._api.folder.create_folder, folder, uid=folder))
        pushed = []
        for uid, dashboard in dashboards.items():
            body = {"dashboard": {**dashboard, "id": None}, "folderUid": folder, "overwrite": True,
                    "message": f"tocsin {__version__}"}
            answer = self._ask(partial(self._api.dashboard.update_dashboard, body))
            if not isinstance(answer, dict) or answer.get("uid") != uid:
                raise ProvisionError(f"{self.url}: answered {answer!r} to dashboard {uid}; is this a Grafana?")
            pushed.append(f"{self.url.rstrip('/')}/d/{uid}")
        return pushed

    def _ask(self, call: Callable[[], Any], *, absent: bool = False, forbidden: bool = False) -> dict[str, Any] | int:
        """The answer's JSON object, or the number 404 or 403 where that is an answer too."""
        try:
            answer = call()
        except GrafanaUnauthorizedError as err:
            raise ProvisionError(f"{self.url}: 401, the token is not accepted; make a new one in Grafana") from err
        except GrafanaClientError as err:
            if (absent and err.status_code == 404) or (forbidden and err.status_code == 403):
                return 404 if err.status_code == 404 else 403
            hint = "; the token needs the role Editor" if err.status_code == 403 else ""
            raise ProvisionError(f"{self.url}: refused with {err.status_code}: {err.message}{hint}") from err
        except GrafanaServerError as err:
            raise ProvisionError(f"{self.url}: {err.message}; look into Grafana's own log") from err
        except GrafanaTimeoutError as err:
            raise ProvisionError(f"{self.url}: no answer within {TIMEOUT_S:g} s") from err
        except JSONDecodeError as err:
            raise ProvisionError(f"{self.url}: the answer is not JSON; is this a Grafana?") from err
        except (GrafanaException, RequestException) as err:
            raise ProvisionError(f"{self.url}: cannot be reached: {err}") from err
        if not isinstance(answer, dict):
            raise ProvisionError(f"{self.url}: the answer is not a JSON object; is this a Grafana?")
        return answer


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or parts.username)
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0 and plain


def _json(dashboard: Mapping[str, Any]) -> str:
    return json.dumps(dashboard, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def _yaml(value: str) -> str:
    """A YAML string: JSON's form is one. Grafana would read `$NAME` as a variable of its environment; `$$` is a `$`."""
    return json.dumps(value.replace("$", "$$"), ensure_ascii=False)


def _replace(path: Path, content: str) -> None:
    """Grafana watches the folder: it never sees half a file."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)  # Grafana runs as a user of its own
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
