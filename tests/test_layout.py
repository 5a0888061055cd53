"""The checkout is laid out as designed, is what Python imports, and tells nothing of the machine it came from."""

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.shared_data import REPOSITORY
from tocsin import __version__
from tocsin.__main__ import main

PACKAGES: list[str] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
    "wheel"
]["packages"]

FILES = [
    "pyproject.toml",
    "README.md",
    "README.zh.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    ".ci/run",
    "benchmarks/__main__.py",
    "deploy/debian-packages.sh",
    "deploy/setup.sh",
    "docs/architecture.md",
]

MODULES = {
    "tocsin": "readings quantities levels messages topics config clock log records link plugins __main__",
    "thresholds": "rules detectors",
    "edge": "bus poll pipeline siren uplink watch",
    "hub": "intake store warnings callout journal bulletin dispatch broadcast answers web",
    "dashboards": "",
    "drivers": "",
    "simulators": "",
}

# in documents such a path is a place of an installation, not of a developer
PUBLIC = tuple(Path(top) for top in ("/opt", "/srv", "/usr", "/var", "/etc"))
TOP = {Path(top) for top in ("/", "/tmp", "/home", "/mnt", "/media", "/run")}
SOMEBODYS_HOME = re.compile(r"(?<![\w.\]-])/(?:(?:home|Users)/[a-z_]|root\b/)")
REGISTRY = re.compile(r"(?:pypi|pythonhosted|npmjs|crates|anaconda|golang)\.(?:org|io|com)\b|https?://\S+/simple\b")
IGNORED_FOLDERS = {"__pycache__", "build", "dist", "node_modules"}


def repository_files() -> list[Path]:
    """What is tracked, or would be; in a copy without git, everything but caches and builds."""
    if (REPOSITORY / ".git").exists():
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout.split("\0")
        return [REPOSITORY / name for name in names if name and (REPOSITORY / name).is_file()]
    return [path for path in REPOSITORY.rglob("*") if path.is_file() and not _is_ignored(path.relative_to(REPOSITORY))]


def _is_ignored(path: Path) -> bool:
    return any(
        part in IGNORED_FOLDERS or part.endswith(".egg-info") or (part.startswith(".") and part != ".ci")
        for part in path.parts[:-1]
    )


def text_of(path: Path) -> str:
    """A file's text; a binary file's readable part."""
    return path.read_bytes().decode(errors="replace")


def machine_paths() -> list[Path]:
    """Folders of the machine that runs this: home, checkout, what lies beside it, the interpreter's own."""
    found = {Path.home(), REPOSITORY, REPOSITORY.parent, Path(sys.base_prefix)} - TOP
    return sorted(path for path in found if not any(path.is_relative_to(public) for public in PUBLIC))


def places(pattern: re.Pattern[str]) -> list[str]:
    """Where a pattern occurs in the repository: file, line, what was found."""
    return [
        f"{path.relative_to(REPOSITORY)}:{number}: {match.group()}"
        for path in repository_files()
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if (match := pattern.search(line))
    ]


def path_pattern(path: Path) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.\]-]){re.escape(str(path))}(?![\w.-])")


@pytest.mark.parametrize("name", [*PACKAGES, "tests", "benchmarks"])
def test_an_imported_package_is_this_checkouts(name: str) -> None:
    module = importlib.import_module(name)
    assert [Path(place).resolve() for place in module.__path__] == [REPOSITORY / name]


def test_every_package_of_the_layout_is_built_and_the_other_way_round() -> None:
    assert set(PACKAGES) == set(MODULES)


def test_every_file_of_the_layout_exists() -> None:
    assert [name for name in FILES if not (REPOSITORY / name).is_file()] == []


@pytest.mark.parametrize("package", MODULES)
def test_every_module_of_the_layout_exists(package: str) -> None:
    there = {path.stem for path in (REPOSITORY / package).iterdir() if path.suffix in {"", ".py"}}
    assert set(MODULES[package].split()) - there == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_typed(package: str) -> None:
    assert (REPOSITORY / package / "__init__.py").is_file()
    assert (REPOSITORY / package / "py.typed").is_file()


def test_no_file_names_a_place_of_this_machine() -> None:
    assert [place for path in machine_paths() for place in places(path_pattern(path))] == []


def test_no_file_names_somebodys_home() -> None:
    assert places(SOMEBODYS_HOME) == []


def test_no_file_names_a_package_registry() -> None:
    assert places(REGISTRY) == []


def test_no_lock_file_is_kept() -> None:
    assert [path for path in repository_files() if path.name in {"uv.lock", "package-lock.json", "poetry.lock"}] == []


def test_the_guards_see_what_they_guard_against() -> None:
    slash = "/"  # written apart, so that this file passes its own guards
    assert SOMEBODYS_HOME.search(f"cd {slash}home{slash}ann{slash}tocsin")
    assert SOMEBODYS_HOME.search(f'"{slash}root{slash}data"')
    assert not SOMEBODYS_HOME.search("https://example.org/home/ann, a tree/root/branch")
    assert REGISTRY.search("https://files.python" + "hosted.org/packages")
    assert REGISTRY.search("https://mirror.example/sim" + "ple/numpy")
    assert path_pattern(Path("/place")).search("see /place/file")
    assert path_pattern(Path("/place")).search("in /place now")
    assert not path_pattern(Path("/place")).search("/place2 and a/place")


def test_the_version_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tocsin {__version__}\n"
