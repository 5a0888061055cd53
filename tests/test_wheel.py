"""What is installed: every package in the wheel, and each role's dependencies apart."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser

import pytest

from tests.shared_data import REPOSITORY
from tests.test_layout import PACKAGES


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    built = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def part_of(wheel: zipfile.ZipFile, name: str) -> str:
    """A file of the wheel's own description."""
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def test_the_wheel_carries_every_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in files} == set(PACKAGES)
    sources = {str(path.relative_to(REPOSITORY)) for name in PACKAGES for path in (REPOSITORY / name).rglob("*.py")}
    assert {name for name in files if name.endswith(".py")} == sources
    assert {f"{name}/py.typed" for name in PACKAGES} <= files
    samples = {str(path.relative_to(REPOSITORY)) for name in PACKAGES for path in (REPOSITORY / name).rglob("*.toml")}
    assert {name for name in files if name.endswith(".toml")} == samples
    assert {"edge/sample.toml", "edge/sample_rules.toml", "hub/sample.toml", "simulators/sample.toml"} <= samples


def test_the_wheel_names_the_roles_as_extras(wheel: zipfile.ZipFile) -> None:
    description = HeaderParser().parsestr(part_of(wheel, "METADATA"))
    extras = {"edge", "gpio", "speech", "hub", "parquet", "dashboards", "bench", "dev"}
    assert set(description.get_all("Provides-Extra", [])) == extras
    assert description["License-Expression"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in part_of(wheel, "licenses/LICENSE")
    assert "tocsin = tocsin.__main__:main" in part_of(wheel, "entry_points.txt")


def test_a_station_installs_nothing_of_the_hub(wheel: zipfile.ZipFile) -> None:
    wants = HeaderParser().parsestr(part_of(wheel, "METADATA")).get_all("Requires-Dist", [])
    of_hub = {re.split(r"[^\w-]", want)[0] for want in wants if want.endswith("extra == 'hub'")}
    of_edge = {re.split(r"[^\w-]", want)[0] for want in wants if "extra ==" not in want or want.endswith("== 'edge'")}
    assert {"litestar", "lxml"} <= of_hub
    assert "numpy" in of_edge
    assert of_edge & of_hub == set()
