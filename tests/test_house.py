"""Setting up, without touching this machine: the scripts run with a stand-in for every command that would change it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.shared_data import REPOSITORY

WORDS = {"help", "setup", "test", "check", "demo", "bench", "prove"}
APT_LINE = "apt-get update && apt-get install -y --no-install-recommends"

# what a stand-in does beside writing its name and arguments to the journal
AS_USER = 'echo "${PRETEND_UID:-1000}"'
AS_ROOT = "echo 0"
NO_SUDO = "exit 1"
SUDO = '[ "$1" = -n ] || PRETEND_UID=0 exec "$@"'
APT = """[ "$1" = update ] || { sh "$TOCSIN_POLICY" start; echo "policy $?" >>"$JOURNAL"; }
[ "$1" = update ] || echo new.service >>"$JOURNAL.units"
[ "$1" = update ] || [ ! -e "$JOURNAL.stale" ] || { rm "$JOURNAL.stale"; exit 100; }"""
SYSTEMCTL = """case $1 in list-unit-files) sed 's/$/ enabled enabled/' "$JOURNAL.units";; esac"""


class House:
    """A checkout's scripts in a folder of their own, and stand-ins that write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self.bin = folder / "bin"
        self.journal = folder / "journal"
        self.policy = folder / "policy-rc.d"
        self.units = folder / "journal.units"
        self.bin.mkdir(parents=True)
        self.root.mkdir()
        shutil.copytree(REPOSITORY / "deploy", self.root / "deploy")
        shutil.copy(REPOSITORY / "Makefile", self.root)
        (self.root / "pyproject.toml").write_text("[project]\n")
        self.journal.touch()
        self.units.write_text("ssh.service\n")
        for command, does in {
            "id": AS_ROOT,
            "sudo": NO_SUDO,
            "apt-get": APT,
            "apt-cache": "exit 0",
            "systemctl": SYSTEMCTL,
            "python3": PYTHON,
        }.items():
            self.stand_in(command, does)

    def stand_in(self, command: str, does: str) -> None:
        path = self.bin / command
        path.write_text(f'#!/bin/sh\necho "{command} $*" >>"$JOURNAL"\n{does}\n')
        path.chmod(0o755)

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs one of the scripts, with nobody at the keyboard."""
        environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "JOURNAL": str(self.journal),
            "TOCSIN_POLICY": str(self.policy),
            "STAND_IN": str(self.bin / "python3"),
        }
        self.journal.write_text("")
        return subprocess.run(
            command,
            cwd=self.root,
            env=environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def install(self, *packages: str) -> subprocess.CompletedProcess[str]:
        return self.run("deploy/debian-packages.sh", "install", *packages)

    @property
    def calls(self) -> list[str]:
        return self.journal.read_text().splitlines()

    def called(self, start: str) -> list[str]:
        return [call for call in self.calls if call.startswith(start)]


# an interpreter: it makes a venv of more stand-ins, and answers what setup.sh asks
PYTHON = """case "$*" in
"-m venv .venv")
    mkdir -p .venv/bin
    sed "s|python3 |venv-python |" "$STAND_IN" >.venv/bin/python
    printf '#!%s/.venv/bin/python\\n' "$PWD" >.venv/bin/pip
    printf '#!/bin/sh\\necho "uv $*" >>"$JOURNAL"\\nexit ${UV_ENDS:-0}\\n' >.venv/bin/uv
    touch .venv/bin/tocsin
    chmod 755 .venv/bin/* ;;
*ensurepip*) [ "${ENSUREPIP:-yes}" = yes ] ;;
*"version_info <"*) [ "${VERSION:-3.11}" != 3.9 ] ;;
*version_info*) echo "${VERSION:-3.11}" ;;
*sys.prefix*) [ "$PWD/.venv" = "$3" ] ;;
*"import msgspec, pip"*) [ -z "${BROKEN:-}" ] ;;
*"pip --version"*) [ -z "${BROKEN:-}" ] ;;
esac"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_without_root_and_sudo_the_one_line_is_printed_and_nothing_is_done(house: House) -> None:
    house.stand_in("id", AS_USER)
    answer = house.install("mosquitto", "influxdb")
    assert answer.returncode == 1
    assert [line for line in answer.stderr.splitlines() if "apt-get" in line] == [f"{APT_LINE} mosquitto influxdb"]
    assert house.called("apt-get") == []


def test_with_sudo_the_packages_are_installed(house: House) -> None:
    house.stand_in("id", AS_USER)
    house.stand_in("sudo", SUDO)
    answer = house.install("mosquitto")
    assert answer.returncode == 0, answer.stderr
    assert house.called("apt-get") == ["apt-get install -y --no-install-recommends mosquitto"]


def test_no_service_starts_and_none_stays_enabled_that_was_not(house: House) -> None:
    answer = house.install("mosquitto")
    assert answer.returncode == 0, answer.stderr
    assert house.called("policy") == ["policy 101"]
    assert house.called("systemctl disable") == ["systemctl disable new.service"]
    assert "Disabled new.service" in answer.stderr
    assert not house.policy.exists()


def test_the_machines_own_policy_is_put_back(house: House) -> None:
    house.policy.write_text("#!/bin/sh\nexit 0\n")
    assert house.install("mosquitto").returncode == 0
    assert house.called("policy") == ["policy 101"]
    assert house.policy.read_text() == "#!/bin/sh\nexit 0\n"


@pytest.mark.parametrize("own", [None, "#!/bin/sh\nexit 0\n"])
def test_a_failed_install_leaves_the_policy_as_it_was(house: House, own: str | None) -> None:
    if own:
        house.policy.write_text(own)
    house.stand_in("apt-get", "exit 100")
    assert house.install("mosquitto").returncode != 0
    assert (house.policy.read_text() if house.policy.exists() else None) == own


def test_an_interrupted_install_leaves_no_policy_behind(house: House) -> None:
    house.stand_in("apt-get", "kill -TERM $PPID")
    assert house.install("mosquitto").returncode != 0
    assert not house.policy.exists()


def test_a_killed_install_is_cleaned_up_by_the_next(house: House) -> None:
    house.policy.write_text("#!/bin/sh\nexit 0\n")
    house.stand_in("apt-get", "kill -KILL $PPID")
    assert house.install("mosquitto").returncode != 0
    assert "101" in house.policy.read_text()
    house.stand_in("apt-get", APT)
    assert house.install("mosquitto").returncode == 0
    assert house.policy.read_text() == "#!/bin/sh\nexit 0\n"


@pytest.mark.parametrize("why", ["unknown", "stale"])
def test_package_lists_are_fetched_only_where_they_do_not_serve(house: House, why: str) -> None:
    install = "apt-get install -y --no-install-recommends mosquitto"
    if why == "unknown":
        house.stand_in("apt-cache", "exit 100")
    else:
        (house.journal.parent / "journal.stale").touch()
    assert house.install("mosquitto").returncode == 0
    assert house.called("apt-get") == ([] if why == "unknown" else [install]) + ["apt-get update", install]


def test_a_machine_whose_systemctl_does_not_work_is_left_as_it_is(house: House) -> None:
    house.stand_in("systemctl", "exit 1")
    assert house.install("mosquitto").returncode == 0
    assert house.called("systemctl disable") == []


def test_only_packages_whose_command_or_library_is_missing_are_installed(house: House) -> None:
    (house.root / "deploy" / "debian-packages").write_text(
        "# comment\nsh dash\nno-such-command some-package\nlibc.so.6 libc6\nlibnone.so.1 some-library\n")
    assert house.run("deploy/debian-packages.sh", "tests").returncode == 0
    assert house.called("apt-get") == ["apt-get install -y --no-install-recommends some-package some-library"]
    (house.root / "deploy" / "debian-packages").write_text("sh dash\nlibc.so.6 libc6\n")
    assert house.run("deploy/debian-packages.sh", "tests").returncode == 0
    assert house.calls == []


def test_setting_up_twice_does_it_once(house: House) -> None:
    first = house.run("make", "setup")
    assert first.returncode == 0, first.stderr
    assert house.called("python3 -m venv") == ["python3 -m venv .venv"]
    assert house.called("uv") == [
        "uv pip install --quiet --python .venv/bin/python -e .[edge,hub,dashboards,dev]",
    ]
    assert house.run("make", "setup").returncode == 0
    assert house.called("uv") + house.called("python3") == []


def test_what_only_the_benchmarks_need_comes_with_make_bench_and_once(house: House) -> None:
    house.run("make", "setup")
    assert not [call for call in house.called("uv pip install") if "bench" in call]
    house.run("make", "bench")
    assert [call.endswith("-e .[edge,hub,dashboards,dev,bench]") for call in house.called("uv pip install")] == [True]
    assert house.called("venv-python -m benchmarks")
    for words in (["make", "setup"], ["make", "bench"]):
        assert house.run(*words).returncode == 0
        assert house.called("uv") == []


def test_a_changed_list_of_packages_is_installed_into_the_same_venv(house: House) -> None:
    house.run("make", "setup")
    (house.root / "pyproject.toml").write_text("[project]\n# changed\n")
    assert house.run("make", "setup").returncode == 0
    assert house.called("python3 -m venv") == []
    assert len(house.called("uv pip install")) == 1


def test_a_moved_checkout_gets_a_new_venv(house: House) -> None:
    house.run("make", "setup")
    house.root = house.root.rename(house.root.with_name("moved"))
    assert house.run("make", "setup").returncode == 0
    assert len(house.called("python3 -m venv")) == 1


def test_a_broken_venv_is_made_anew(house: House) -> None:
    house.run("make", "setup")
    (house.root / ".venv" / "left-over").touch()
    assert house.run("make", "setup", BROKEN="1").returncode == 0
    assert not (house.root / ".venv" / "left-over").exists()


def test_an_interpreter_that_is_named_is_the_one_in_the_venv(house: House) -> None:
    house.run("make", "setup")
    house.stand_in("python3.12", PYTHON.replace("VERSION:-3.11", "VERSION:-3.12"))
    assert house.run("make", "setup", "PYTHON=python3.12").returncode == 0
    assert house.called("python3.12 -m venv") == ["python3.12 -m venv .venv"]


def test_pip_does_it_where_uv_does_not(house: House) -> None:
    answer = house.run("make", "setup", UV_ENDS="2")
    assert answer.returncode == 0
    assert "now pip tries" in answer.stderr
    assert house.calls[-1].startswith("venv-python -m pip install")
    assert house.calls[-1].endswith("-e .[edge,hub,dashboards,dev]")


def test_an_old_python_is_refused_by_its_version(house: House) -> None:
    answer = house.run("make", "setup", VERSION="3.9")
    assert answer.returncode != 0
    assert "needs Python 3.11 or newer; python3 is 3.9" in answer.stderr
    assert not (house.root / ".venv").exists()


def test_a_python_without_ensurepip_gets_debians_package_or_the_line_for_it(house: House) -> None:
    answer = house.run("make", "setup", ENSUREPIP="no")
    assert house.called("apt-get") == ["apt-get install -y --no-install-recommends python3-venv"]
    assert "cannot make a venv" in answer.stderr  # the stand-in installs nothing
    house.stand_in("id", AS_USER)
    answer = house.run("make", "setup", ENSUREPIP="no")
    assert answer.returncode != 0
    assert f"{APT_LINE} python3-venv" in answer.stderr.splitlines()
    assert not (house.root / ".venv").exists()


@pytest.mark.docs
def test_make_has_few_words_and_says_what_each_does(house: House) -> None:
    told = re.findall(r"^  make (\w+) +\S", house.run("make").stdout, re.MULTILINE)
    phony = re.findall(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert set(told) == set(targets) == set(" ".join(phony).split()) == WORDS


@pytest.mark.parametrize("broken", ["", "test"])
def test_the_ci_runs_the_tests_then_the_checks_and_misses_no_shared_data(house: House, broken: str) -> None:
    shutil.copytree(REPOSITORY / ".ci", house.root / ".ci")
    house.stand_in("make", f'echo "required $TOCSIN_REQUIRE_SHARED" >>"$JOURNAL"; [ "$1" != "{broken}" ]')
    assert (house.run(".ci/run").returncode == 0) == (not broken)
    assert house.called("make") == (["make test"] if broken else ["make test", "make check"])
    assert set(house.called("required")) == {"required 1"}


def test_numbers_grow_where_much_is_to_be_proved(
    count: Callable[[int, int], int], pytestconfig: pytest.Config
) -> None:
    assert count(3, 7) == (7 if pytestconfig.getoption("--prove") else 3)
