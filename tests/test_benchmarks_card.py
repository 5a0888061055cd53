"""What the bench of the card reckons, and what it says where it cannot count."""

import contextlib
import os
import subprocess
import zlib
from pathlib import Path
from typing import cast

import pytest

from benchmarks import card
from benchmarks._rows import BenchError
from edge.checkpoint import KEPT
from tocsin.log import Entry, Log


class Agent:
    """A process that is there."""

    pid, returncode = 1, 3

    def __init__(self) -> None:
        self.ended: int | None = None

    def poll(self) -> int | None:
        return self.ended


def test_a_day_of_a_card_has_what_is_written_seldom_as_often_as_a_day_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder, agent = tmp_path / "site" / "station-data", Agent()
    storage = Log(folder / "log")
    storage.append([Entry(1, 2, b"before")])
    storage.sync()
    kept, cursor = folder / KEPT, folder / "log" / "cursor"
    kept.write_bytes(b"k" * 1000)
    cursor.write_bytes(b"1 hub\n")
    counts = iter([(1_000_000, 500_000, 30_000), (9_000_000, 4_500_000, 10_000)])
    monkeypatch.setattr(card._Card, "_counts", lambda self: next(counts))
    monkeypatch.setattr(card._Card, "_cost_of", lambda self, data, *, synced: 400_000 if synced else 20_000)
    measured = card._Card(folder, cast("subprocess.Popen[bytes]", agent))
    measured.begin()
    storage.append([Entry(2, 2, b"x" * 83)])
    storage.sync()
    os.utime(cursor, ns=(1, 1))
    measured.look()
    taken = measured.taken(864.0)    # a hundredth of a day
    assert taken.records == pytest.approx(100 * 100 / 1e6)
    assert taken.charged == pytest.approx(100 * (4.0 + 0.02))
    seldom_mb = 24 * 0.4 + 96 * 0.02 + 2 * len(zlib.compress(b"k" * 1000, 1)) / 1e6
    assert taken.device == pytest.approx(100 * (8.0 + 0.02 - 0.02) + seldom_mb)
    agent.ended = 3
    with pytest.raises(BenchError, match="the agent ended with 3"):
        measured.look()


def test_where_no_file_system_can_be_had_the_rows_of_the_device_are_left_out_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(card, "filesystem_of_our_own", lambda _options: contextlib.nullcontext(None))
    monkeypatch.setattr(card, "_measured", lambda folders, _s: {name: card.Taken(0.0, 50.0, 20.0) for name in folders})
    assert [one.what for one in card.run(quick=False)] == ["charged bytes"]
    assert "they need root, a loop device" in capsys.readouterr().err
    for device_mb, missed in ((101.0, True), (99.0, False)):
        taken = {card.UNIT: card.Taken(device_mb, 50.0, 20.0), "other": card.Taken(200.0, 50.0, 20.0)}
        monkeypatch.setattr(card, "filesystem_of_our_own", lambda _options: contextlib.nullcontext(tmp_path))
        monkeypatch.setattr(card, "_measured", lambda _folders, _s, taken=taken: taken)
        assert [one.missed for one in card.run(quick=False)] == [False, missed, False]
