"""The pins of this computer: a siren, a button, and what gpiozero lets through of the board's library."""

import sys
from types import SimpleNamespace

import pytest
from gpiozero import DigitalInputDevice, DigitalOutputDevice
from gpiozero.pins.mock import MockFactory

from edge.noise import Button, Pin
from tocsin.levels import Stage
from tocsin.readings import RejectedError


class BoardError(Exception):
    """As lgpio.error, which gpiozero lets through."""


@pytest.fixture(params=[OSError, BoardError])
def gone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Exception:
    monkeypatch.setitem(sys.modules, "lgpio", SimpleNamespace(error=BoardError))
    error: Exception = request.param("the chip is gone")
    return error


async def test_a_pin_that_fails_while_it_is_switched_says_why_and_is_had_anew(
    gone: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = MockFactory()
    siren = Pin("gpio17", 17, high=True, factory=factory)
    await siren.switch(on=False, stage=Stage.MOVE)

    def fails(*_args: object, **_keys: object) -> None:
        raise gone

    with monkeypatch.context() as patch:
        patch.setattr(DigitalOutputDevice, "on", fails)
        with pytest.raises(RejectedError, match="pin 17: the chip is gone"):
            await siren.switch(on=True, stage=Stage.MOVE)
        patch.setattr(DigitalOutputDevice, "off", fails)
        siren.close()
        patch.setattr(DigitalOutputDevice, "__init__", fails)
        with pytest.raises(RejectedError, match="pin 17: the chip is gone"):
            await siren.switch(on=True, stage=Stage.MOVE)
    await siren.switch(on=True, stage=Stage.MOVE)
    assert factory.pin(17).state
    with monkeypatch.context() as patch:
        patch.setattr(DigitalOutputDevice, "off", fails)
        siren.close()


async def test_a_button_that_fails_while_it_is_read_says_why_and_is_had_anew(
    gone: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = MockFactory()
    button = Button(22, factory)
    assert not await button.closed()

    def fails(_: object) -> int:
        raise gone

    with monkeypatch.context() as patch:
        patch.setattr(DigitalInputDevice, "value", property(fails))
        with pytest.raises(RejectedError, match="pin 22: the chip is gone"):
            await button.closed()
    assert not await button.closed()
    factory.pin(22).drive_low()
    assert await button.closed()


async def test_a_button_between_a_pin_and_ground() -> None:
    factory = MockFactory()
    button = Button(27, factory)
    assert not await button.closed()
    factory.pin(27).drive_low()
    assert await button.closed()
    with pytest.raises(RejectedError, match="pin 99"):
        await Button(99, factory).closed()


# the tones
