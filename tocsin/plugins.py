"""Drivers, detectors and channels are found by their file name; nothing is registered anywhere."""

import importlib
import pkgutil
from types import ModuleType


class UnknownPluginError(ValueError):
    """No plugin of that name; the message lists what there is."""


def names(package: ModuleType) -> list[str]:
    """The plugins of a package, sorted. Modules whose name starts with an underscore are not plugins."""
    return sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))


def load(package: ModuleType, name: str) -> ModuleType:
    """The plugin's module. Raises UnknownPluginError."""
    known = names(package)
    if name not in known:
        kind = package.__name__.rsplit(".", 1)[-1].removesuffix("s")
        raise UnknownPluginError(f'"{name}" is not a {kind}; use {", ".join(known)}')
    return importlib.import_module(f"{package.__name__}.{name}")
