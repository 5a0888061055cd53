"""watch.toml: who watches the hub, and whom it calls. `hub/watch_sample.toml` shows every key."""

from pathlib import Path
from typing import Annotated

import msgspec

from tocsin.broker import Broker, problems_of
from tocsin.config import ConfigError, FileOrNone, HexKey, Table, load
from tocsin.signing import EXAMPLE_KEY

TEXT = "{text}"
_EXAMPLE = ('is that of the sample file; put the hub\'s there: "tocsin keys hub" said it beside the private one, and '
            'station files of "tocsin enrol" have it as public_key of [hub]')
Seconds = Annotated[float, msgspec.Meta(gt=0, le=604_800)]


class WatchTable(Table, frozen=True):
    """[watch]: `public_key` is of the hub that is watched; `silent_s` without its heartbeat is an alarm."""

    broker: str
    public_key: HexKey
    name: str = "watcher"
    silent_s: Seconds = 90.0
    trouble_s: Seconds = 600.0
    repeat_s: Seconds = 900.0
    ca: FileOrNone = ""
    cert: FileOrNone = ""
    cert_key: FileOrNone = ""

    def __post_init__(self) -> None:
        Broker.of(self.broker, self.ca, self.cert, self.cert_key)


class CallTable(Table, frozen=True):
    """[[call]]: a command that reaches somebody; `after_s`: so long after the first call."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    command: Annotated[list[str], msgspec.Meta(min_length=1)]
    after_s: Annotated[float, msgspec.Meta(ge=0, le=604_800)] = 0.0
    timeout_s: Seconds = 60.0

    def __post_init__(self) -> None:
        if not any(TEXT in word for word in self.command):
            raise ValueError(f"command: no word has {TEXT}, which stands for what is said")


class WatchConfig(Table, frozen=True):
    """A whole watch.toml."""

    watch: WatchTable
    call: list[CallTable]

    @property
    def broker(self) -> Broker:
        watch = self.watch
        return Broker.of(watch.broker, watch.ca, watch.cert, watch.cert_key)


def load_watch(path: Path) -> WatchConfig:
    """With names of files as seen from here. Raises ConfigError."""
    config = _read(path)
    if left := _examples(path, config):
        raise ConfigError(left)
    return config


def check(path: Path) -> list[str]:
    """Problems of a watch.toml, for `tocsin check`."""
    try:
        config = _read(path)
    except ConfigError as err:
        return err.problems
    return [f"{path}: watch: {problem}" for problem in problems_of(config.broker)]


def examples(path: Path) -> list[str]:
    """Why a file without problems cannot run yet, for `tocsin check`: what it still has of the sample file."""
    return _examples(path, _read(path))


def _examples(path: Path, config: WatchConfig) -> list[str]:
    return [f"{path}: watch: public_key: {_EXAMPLE}"] if config.watch.public_key == EXAMPLE_KEY else []


def _read(path: Path) -> WatchConfig:
    config = load(path, WatchConfig)
    if not config.call:
        raise ConfigError([f"{path}: [[call]] is missing: nobody would be called"])
    files = {key: str(path.parent / name) if name else "" for key, name in
             (("ca", config.watch.ca), ("cert", config.watch.cert), ("cert_key", config.watch.cert_key))}
    return msgspec.structs.replace(config, watch=msgspec.structs.replace(config.watch, **files))
