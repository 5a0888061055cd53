"""A power cut while the disk refuses: what the hub heard and the log never had."""

from pathlib import Path

from hub.happened import EpisodeChanged
from hub.model import Warning as HubWarning
from hub.warnings import step
from tests.edge_bench import STAGE, Bench
from tests.village import POLICY
from tocsin.levels import Level
from tocsin.messages import Detection


class Hub:
    """One warning, as the station's detections make it, in the order of the log."""

    def __init__(self) -> None:
        self.warning: HubWarning | None = None
        self._heard: set[tuple[str, int]] = set()

    def hears(self, bench: Bench) -> int:
        """The level, now that everything has gone up, also what waits for the disk."""
        for one in bench.of(Detection):
            if (one.boot, one.seq) not in self._heard:
                self._heard.add((one.boot, one.seq))
                event = EpisodeChanged("bridge", "431129101203", one, one.t)
                self.warning, _ = step(self.warning, event, one.t, POLICY)
        return self.warning.level if self.warning else 0


def test_a_station_that_lost_several_of_its_words_is_heard_at_once(tmp_path: Path) -> None:
    bench, hub = Bench(tmp_path, STAGE), Hub()
    bench.read(2.1)
    bench.flush()
    bench.agent._log.sync()
    assert hub.hears(bench) == Level.YELLOW
    for stage in (2.6, 3.1):    # the disk refuses from here on: the hub gets them, the log does not
        bench.read(stage)
    told = bench.of(Detection)
    assert hub.hears(bench) == Level.RED
    bench.kill(written=0)
    assert len(bench.of(Detection)) == 1
    bench.read(2.6)
    (newest,) = bench.of(Detection)[1:]
    assert newest.revision < max(one.revision for one in told)
    assert newest.episode == told[0].episode
    assert hub.hears(bench) == Level.ORANGE
    bench.read(3.2)
    assert hub.hears(bench) == Level.RED
    bench.stop()
