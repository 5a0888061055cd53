"""`tocsin demo`, as a new user runs it."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.shared_data import REPOSITORY, shared_path

STEPS = ["first readings on disk", "SIREN", "BROADCAST", "CALL", "ANSWER", "all-clear", "silent"]


def demo(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tocsin", "demo", *words], cwd=folder, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def running_family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Its processes, once the hub has its first readings."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "first readings" in line:
            return psutil.Process(process.pid).children(recursive=True)
    raise AssertionError("".join(said))


@pytest.mark.parametrize("record", ["", "us_walnut_creek_2024"])
def test_a_storm_once_shows_every_step_and_its_delays(tmp_path: Path, record: str) -> None:
    words = ["--record", str(shared_path(f"data/records/{record}.csv.gz"))] if record else []
    process = demo(tmp_path, "--once", *words)
    said, _ = process.communicate(timeout=250)
    assert process.returncode == 0, said
    at = [said.find(step) for step in STEPS]
    assert -1 not in at, said
    assert at[0] == min(at)
    assert re.search(r"sensor to siren: \d+\.\d to \d+\.\d ms, \d+ times", said)
    assert re.search(r"sensor to broadcast: \d+\.\d to \d+\.\d ms, \d+ times", said)
    assert re.search(r"console 控制台 http://127\.0\.0\.1:\d+", said)
    assert said.rstrip().endswith("every step happened")
    assert list(tmp_path.iterdir()) == [], "the demo's files are gone"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_no_process_behind(tmp_path: Path, number: signal.Signals) -> None:
    with demo(tmp_path) as process:
        children = running_family(process)
        assert len(children) >= 4, "hub, its broker, and two agents"
        os.killpg(process.pid, number) if number is signal.SIGINT else process.terminate()
        process.communicate(timeout=30)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert process.returncode == 0


def test_a_demo_that_is_killed_takes_its_parts_along(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        children = running_family(process)
        process.kill()
        process.communicate(timeout=30)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []


def test_a_record_without_a_stage_is_refused_with_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "co.csv").write_text("time,co_ppm\n2024-08-08T00:00:00Z,1\n")
    process = demo(tmp_path, "--record", str(tmp_path / "co.csv"))
    said, _ = process.communicate(timeout=30)
    assert (process.returncode, said) == (
        1, "tocsin demo: co: has no stage_m, level_m, depth_m to play; it has co_ppm\n")
