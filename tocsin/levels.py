"""The four warning colours and what they ask of people."""

from enum import IntEnum, StrEnum


class Level(IntEnum):
    """Severity of a finding, ordered. Colours after the national signal rules for rainstorm and flood."""

    CLEAR = 0
    BLUE = 1
    YELLOW = 2
    ORANGE = 3
    RED = 4

    @property
    def word(self) -> str:
        """The name used in files, messages and pages: `clear`, `blue`, `yellow`, `orange`, `red`."""
        return self.name.lower()

    @property
    def en(self) -> str:
        return self.word

    @property
    def zh(self) -> str:
        return _ZH[self]

    @property
    def both(self) -> str:
        """As people read it where both languages stand together: `orange 橙色`."""
        return f"{self.en} {self.zh}"

    @classmethod
    def of(cls, word: str) -> "Level":
        """The level of that name. Raises ValueError that lists the names."""
        try:
            return cls[word.upper()]
        except KeyError:
            raise ValueError(f'"{word}" is not a level; use {", ".join(level.word for level in cls)}') from None


_ZH = {Level.CLEAR: "正常", Level.BLUE: "蓝色", Level.YELLOW: "黄色", Level.ORANGE: "橙色", Level.RED: "红色"}

WARNING_LEVELS = (Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED)


class Stage(StrEnum):
    """What people are asked to do: villages practise two stages of moving."""

    WATCH = "watch"
    PREPARE = "prepare"
    MOVE = "move"

    @property
    def en(self) -> str:
        return {"watch": "stay alert", "prepare": "prepare to move", "move": "move now"}[self.value]

    @property
    def zh(self) -> str:
        return {"watch": "注意防范", "prepare": "准备转移", "move": "立即转移"}[self.value]


class Authority(StrEnum):
    """Who may move people: the rule alone, or a person at the hub."""

    AUTO = "auto"
    AFTER = "after"      # by itself after a time in which a person may object
    CONFIRM = "confirm"


class Hazard(StrEnum):
    """What threatens: episodes of one hazard in one place make one warning."""

    FLOOD = "flood"
    GAS = "gas"
    TANK = "tank"
    SLOPE = "slope"

    @property
    def en(self) -> str:
        return {"flood": "flood", "gas": "gas release", "tank": "tank fault", "slope": "landslide"}[self.value]

    @property
    def zh(self) -> str:
        return {"flood": "山洪", "gas": "气体泄漏", "tank": "储罐异常", "slope": "滑坡"}[self.value]
