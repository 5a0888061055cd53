"""[siren] of a station file: what sounds, how, and how it is proved."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from tocsin.config import Table
from tocsin.levels import Level

NONE = -1
_LONGEST_S = 600.0
_SHORTEST_S = 0.2   # what is shorter a horn does not follow, and the line to its relay has no time for

Pin = Annotated[int, msgspec.Meta(ge=NONE, le=53)]
Input = Annotated[int, msgspec.Meta(ge=NONE, le=0xFFFF)]
Rhythm = tuple[Annotated[float, msgspec.Meta(ge=0, le=_LONGEST_S)], ...]


class SpeechTable(Table, frozen=True):
    """[siren.speech]: words from the local sound card, between the bursts of the siren."""

    languages: tuple[Literal["zh", "en"], ...] = ("zh", "en")
    words_per_min: Annotated[int, msgspec.Meta(ge=80, le=300)] = 160
    player: tuple[str, ...] = ("aplay", "-q", "-")

    def __post_init__(self) -> None:
        if not self.languages:
            raise ValueError("languages: [] is not allowed; use zh, en or both")
        if not self.player or not self.player[0]:
            raise ValueError('player: there is no command; use one that takes a WAV on its input, like ["aplay", "-"]')


class SirenTable(Table, frozen=True):
    """[siren]: one output, from which level on it sounds, its rhythms, and how it is proved."""

    device: str = ""
    gpio: Pin = NONE
    gpio_on: Literal["high", "low"] = "high"
    sound_card: bool = False
    from_level: Literal["blue", "yellow", "orange", "red"] = "orange"
    watch: Rhythm = (3, 57)
    prepare: Rhythm = (36, 24)
    move: Rhythm = (6, 6, 6, 6, 6, 6, 6, 18)
    answered: Rhythm = (1, 59)
    in_full_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 180.0
    button_input: Input = NONE
    button_gpio: Pin = NONE
    silence_at_most_min: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    test_every_days: Annotated[int, msgspec.Meta(ge=0, le=366)] = 30
    test_hour: Annotated[int, msgspec.Meta(ge=0, le=23)] = 12
    test_s: Annotated[float, msgspec.Meta(ge=0.5, le=30)] = 3.0
    utc_offset_h: Annotated[float, msgspec.Meta(ge=-12, le=14)] = 8.0
    speech: SpeechTable | None = None

    @property
    def level(self) -> Level:
        """`from_level`, to be compared."""
        return Level.of(self.from_level)

    @property
    def name(self) -> str:
        """What stands in records for the device that sounds."""
        return self.device or ("sound-card" if self.sound_card else f"gpio{self.gpio}")

    def __post_init__(self) -> None:
        if sum((bool(self.device), self.gpio != NONE, self.sound_card)) != 1:
            raise ValueError("one output is needed, not none and not two; give device, gpio or sound_card")
        if self.button_input != NONE and not self.device:
            raise ValueError(f"button_input: {self.button_input} is an input of the relay that `device` names; "
                             "use button_gpio without one")
        if self.button_gpio != NONE and self.button_gpio == self.gpio:
            raise ValueError(f"button_gpio: {self.button_gpio} is the siren's own pin; use another one")
        for key in ("watch", "prepare", "move", "answered"):
            _check_rhythm(key, getattr(self, key))


def _check_rhythm(key: str, rhythm: Sequence[float]) -> None:
    if len(rhythm) % 2 or not any(rhythm[::2]) or any(0 < step < _SHORTEST_S for step in rhythm):
        raise ValueError(f"{key}: {list(rhythm)} is not allowed; use pairs of seconds, on and off, "
                         f"with sound in them, like [36, 24], and none between 0 and {_SHORTEST_S:g}")
