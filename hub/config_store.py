"""[store] of hub.toml: where readings are kept."""

import re
from itertools import pairwise
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from tocsin.config import Table

Url = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/]+", description="an address like http://127.0.0.1:8086")]
Days = Annotated[int, msgspec.Meta(ge=0, le=36_525, description="days, 0 for ever")]
HeaderText = Annotated[
    str, msgspec.Meta(pattern=r"^[!-~]*\Z", description='letters, digits and signs of ASCII without blanks, or ""')
]


class StoreTable(Table, frozen=True):
    """[store]. `keep_days` and its like are the embedded store's: how long readings and their rollups are kept, 0 for
    ever."""

    kind: Literal["embedded", "influxdb1", "influxdb2", "influxdb3"] = "embedded"
    url: Url = "http://127.0.0.1:8086"
    database: Annotated[str, msgspec.Meta(min_length=1)] = "tocsin"
    user: str = ""
    password: str = ""
    token: HeaderText = ""
    org: str = ""
    bucket: str = ""
    downsample: Literal["off", "auto", "hub"] = "off"
    influx_keep_days: Days = 0
    keep_days: Days = 3653
    keep_10min_days: Days = 0
    keep_1h_days: Days = 0
    keep_1d_days: Days = 0

    def __post_init__(self) -> None:
        if self.kind == "influxdb2" and not (self.token and self.org):
            raise ValueError('kind: "influxdb2" needs token and org; use kind = "influxdb1" for a server without them')
        if self.user and self.kind in {"influxdb2", "influxdb3"}:
            raise ValueError(f"user: is not for {self.kind}; use token")
        if self.user and self.token:
            raise ValueError("token: is not for a store with a user; use one of them")
        if self.influx_keep_days and self.kind == "embedded":
            raise ValueError("influx_keep_days: is not for the embedded store; use 0")
        if self.downsample != "off" and self.kind == "embedded":
            raise ValueError('downsample: is not for the embedded store; use "off"')
        if not _is_address(self.url):
            raise ValueError(f'url: "{self.url}" is not allowed; use an address like http://127.0.0.1:8086')
        names = ("keep_days", "keep_10min_days", "keep_1h_days", "keep_1d_days")
        for finer, coarser in pairwise(names):
            fine, coarse = getattr(self, finer), getattr(self, coarser)
            if coarse and not 0 < fine <= coarse:
                raise ValueError(f"{coarser}: {coarse} is not allowed; use 0, for ever, or no less than {finer}, which "
                                 f"is {fine}")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        odd = parts.query or parts.fragment or re.search(r"\s", url)
        return bool(parts.hostname) and parts.port != 0 and not odd
    except ValueError:
        return False
