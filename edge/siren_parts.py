"""Puts the siren of a station together: output, rhythm, words, proof and button, and what each tells."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from edge.bus import Bus
from edge.button import ButtonWatch
from edge.care import Parts
from edge.config import Station
from edge.device import Device
from edge.noise import Button, Pin, Tones
from edge.operations import Operations
from edge.outputs import Output, Relay
from edge.pipeline import Pipeline
from edge.proof import Proof
from edge.recorder import Recorder
from edge.sayings import say
from edge.siren import Siren, Told
from edge.siren_table import NONE, SirenTable, SpeechTable
from edge.speech import Speaker
from edge.timekeeper import Timekeeper
from thresholds.kernel import levels
from tocsin import messages
from tocsin.clock import Clock
from tocsin.devices import OutputDriver
from tocsin.levels import Level
from tocsin.messages import Event, EventKind
from tocsin.said import Said, SaidError

AT_THE_SITE = say("button")


@dataclass(frozen=True, slots=True)
class SirenParts:
    """What belongs to a siren."""

    siren: Siren
    proof: Proof
    speaker: Speaker | None
    button: ButtonWatch | None

    def parts(self) -> Parts:
        """What runs beside the rest of the agent, by its name."""
        found: Parts = {"siren": self.siren.run, "proof": self.proof.run}
        if self.speaker is not None:
            found["speech"] = self.speaker.run
        if self.button is not None:
            found["button"] = self.button.run
        return found


def siren_parts(
    station: Station, buses: Mapping[str, Bus], clock: Clock, keeper: Timekeeper,
    *, recorder: Recorder, pipeline: Pipeline, operations: Operations,
) -> SirenParts | None:  # fmt: skip
    """None where the station has no siren. Tells pipeline and operations of it."""
    table = station.file.siren
    if table is None:
        return None
    output = output_of(table, station.devices, buses)

    def tell(kind: EventKind, detail: Said, reason: str = "") -> None:
        recorder.add(Event("", 0, keeper.peek_ms(), kind, detail.en, device=output.name, reason=reason, zh=detail.zh))

    def fault(detail: Said) -> None:
        tell(EventKind.SIREN, detail)

    def done(told: Told) -> None:
        recorder.add(messages.Siren("", 0, keeper.peek_ms(), output.name, int(told.level), told.why,
                                    round(told.took_ms, 3), told.pattern))

    speaker = _speaker(station, table, fault)
    siren = Siren(table, output, clock, done, fault, speaker)
    proof = Proof(
        table, siren, speaker, clock, station.folder,
        is_calm=lambda: not levels(pipeline.decider.live).max(initial=0) > Level.CLEAR,
        tell=lambda reason, detail: tell(EventKind.PROOF, detail, reason),
    )  # fmt: skip

    def press() -> None:
        try:
            operations.answer(AT_THE_SITE)
        except SaidError as err:
            tell(EventKind.SIREN, say("pressed", why=err.said))

    contact = _contact(table, output)
    button = None if contact is None else ButtonWatch(
        contact, clock, is_sounding=lambda: siren.program is not None, on_press=press, on_fault=fault
    )  # fmt: skip
    pipeline.siren, operations.proof = siren, proof
    return SirenParts(siren, proof, speaker, button)


def output_of(table: SirenTable, devices: Sequence[Device], buses: Mapping[str, Bus]) -> Output:
    """What the station's siren is switched by."""
    if table.device:
        device = next(device for device in devices if device.table.name == table.device)
        assert isinstance(device.driver, OutputDriver)  # noqa: S101 - load_station has checked it
        return Relay(device.table, device.driver, buses[device.table.bus])
    if table.sound_card:
        return Tones((table.speech or SpeechTable()).player)
    return Pin(table.name, table.gpio, high=table.gpio_on == "high")


def _contact(table: SirenTable, output: Output) -> Callable[[], Awaitable[bool]] | None:
    if table.button_gpio != NONE:
        return Button(table.button_gpio).closed
    if table.button_input != NONE and isinstance(output, Relay):
        return lambda: output.contact(table.button_input)
    return None


def _speaker(station: Station, table: SirenTable, fault: Callable[[Said], None]) -> Speaker | None:
    if table.speech is None:
        return None
    place = station.file.station
    return Speaker(table.speech, place.name, place.name_zh or place.name,
                   lambda detail: fault(say("no_words", why=detail)))
