"""Which word of a station is the newer one, where numbers were lost and clocks were wrong. Pure."""

from collections.abc import Mapping

from tocsin.messages import Detection

MOST = 32    # runs of a station that are remembered
WRONG_CLOCK_MS = 3_600_000  # a detection further in the future than that was told by a clock that was wrong


def newer(
    detection: Detection, episode: str, revision: int, boot: str, changed_at: int, now_ms: int,
    *, outlived: bool = False,
) -> bool:
    """Than what is known of its rule: the id of the episode, its revision, the run that told it, and its event time.

    `outlived`: the run that tells the detection ended before that run began; its clock may have been ahead.
    """
    if detection.revision > revision:
        return True
    if outlived:
        return False
    # a station whose memory was replaced counts from 1 again, and one that lost its power before the disk took its
    # records counts their numbers twice; ignoring them would mute it
    other = detection.episode != episode or detection.revision == revision
    after_loss = boot not in {"", detection.boot} and detection.t <= now_ms + WRONG_CLOCK_MS
    return (other or after_loss) and detection.t > changed_at


def before(runs: Mapping[str, int], boot: str, other: str) -> bool:
    """Whether the first run began before the second. `runs`: the lowest number of each one's starts, in the order in
    which they landed. Only where both say so: of a memory that was replaced the numbers begin again, and of a backlog
    the newest comes first."""
    order = list(runs)
    if boot not in runs or other not in runs:
        return False
    return order.index(boot) < order.index(other) and runs[boot] < runs[other]


def with_start(runs: Mapping[str, int], boot: str, seq: int) -> dict[str, int]:
    """With one more start; beyond MOST the oldest run goes."""
    found = {**runs, boot: min(seq, runs.get(boot, seq))}
    return dict(list(found.items())[-MOST:])
