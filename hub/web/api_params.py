"""What a program may ask with: each parameter's type, its limits, and the words for them in English and Chinese.

The same words stand in the description of the interface and in the refusal of a value that is not allowed.
"""

import re
from typing import Annotated, Any, Literal

from litestar.exceptions import ValidationException
from litestar.openapi.spec import OpenAPIType
from litestar.params import Parameter, ParameterKwarg

from hub.store import LATEST_MS
from hub.web.api_words import ZH, both
from hub.web.freshness import Freshness
from hub.web.problems import Problem
from hub.web.render import Asked
from tocsin.levels import Hazard
from tocsin.times import DAY_MS, iso, ms_of

LONGEST_MS = 400 * DAY_MS
LONGEST_READINGS_MS = LATEST_MS  # they come page by page
LONGEST_NAME = 200
PAGE = 100
LARGEST_PAGE = 5_000
ROWS = 1_000
MOST_ROWS = 10_000
POINTS = 1_000
MOST_POINTS = 5_000


def _words(english: str, chinese: str, kind: OpenAPIType = OpenAPIType.STRING, **limits: Any) -> Any:
    """A parameter: what is allowed, in words, and as far as a schema can say it: left out it may be, but not null."""
    schema: dict[str, Any] = {"one_of": None, "type": kind, "enum": limits.pop("enum", None)}
    return Parameter(description=both(english, chinese), schema_extra=schema, **limits)


def _whole(least: int, most: int, english: str, chinese: str) -> Any:
    return _words(f"a whole number from {least} to {most}: {english}", f"{least} 到 {most} 的整数：{chinese}",
                  OpenAPIType.INTEGER, ge=least, le=most)


def _one_of(*words: str) -> Any:
    return _words(f"one of {', '.join(words)}", f"{'、'.join(words)} 之一", enum=list(words))


def _name(english: str, chinese: str) -> Any:
    return _words(english, chinese, min_length=1, max_length=LONGEST_NAME)


_A_STATION = ("the id of a station", "监测站编号")
_TIME = (
    "a time like 2024-08-08T07:20:00Z, or milliseconds since 1970, from year 1970 to 2099",
    "1970 年至 2099 年的时间，如 2024-08-08T07:20:00Z，或 1970 年以来的毫秒数",
)
_CURSOR = ("what the page before gave as next", "上一页给出的 next")

StationParam = Annotated[str, _name(*_A_STATION)]
OneStation = Annotated[str | None, _name(*_A_STATION)]
_A_WARNING = ("the id of a warning", "预警编号")
OneWarning = Annotated[str, _name(*_A_WARNING)]
OfWarning = Annotated[str | None, _name(*_A_WARNING)]
Device = Annotated[str, _name("a device of that station", "该站的设备")]
Quantity = Annotated[str, _name("a quantity that the device measures", "该设备的测项")]
OneQuantity = Annotated[str | None, _name("the name of a quantity; /api/v1/quantities lists them",
                                          "测项名称，见 /api/v1/quantities")]
Area = Annotated[str | None, _words("12 digits, the code of an area; zeros at its end mean all below",
                                    "12 位区划代码；末尾的零表示包含下级", pattern=r"^[0-9]{12}$")]
HazardParam = Annotated[Hazard | None, _one_of(*Hazard)]
FreshnessWord = Annotated[
    Literal["fresh", "unknown", "late", "silent"] | None, _one_of(*(freshness.word for freshness in Freshness))
]
Status = Annotated[Literal["open", "closed"] | None, _one_of("open", "closed")]
LevelParam = Annotated[
    int | None,
    _whole(1, 4, "the level that was reached, at least; 1 blue, 2 yellow, 3 orange, 4 red",
           "至少达到的级别；1 蓝、2 黄、3 橙、4 红"),
]
Time = Annotated[str | None, _words(*_TIME, max_length=40)]
After = Annotated[str | None, _words(*_CURSOR, min_length=1, max_length=3 * LONGEST_NAME)]
Limit = Annotated[int, _whole(1, LARGEST_PAGE, "how many on one page", "每页条数")]
Rows = Annotated[int, _whole(1, MOST_ROWS, "how many on one page", "每页条数")]
Most = Annotated[int, _whole(2, MOST_POINTS, "more points than this are thinned out", "超过此数则抽稀")]


def span_of(start: str | None, end: str | None, now_ms: int, longest_ms: int = LONGEST_MS) -> tuple[int, int]:
    """The last 24 h where nothing is said. Raises Problem."""
    end_ms = moment("end", end) if end else now_ms
    start_ms = moment("start", start) if start else max(0, end_ms - DAY_MS)
    if not 0 < end_ms - start_ms <= longest_ms:
        given, days = f"{iso(start_ms)}/{iso(end_ms)}", longest_ms // DAY_MS
        raise Problem.of_value(
            "start/end", given, f"a start that lies before the end, by at most {days} days",
            zh=f"起始时间早于结束时间，相距不超过 {days} 天",
        )
    return start_ms, end_ms


def moment(name: str, word: str) -> int:
    """ms UTC. Raises Problem."""
    try:
        # an unescaped + of a zone arrives as a blank
        ms = int(word) if re.fullmatch(r"[0-9]{1,15}", word) else ms_of(word.replace(" ", "+"))
    except (ValueError, OverflowError):
        raise Problem.of_value(name, word, _TIME[0], zh=_TIME[1]) from None
    if not 0 <= ms < LATEST_MS:
        raise Problem.of_value(name, word, _TIME[0], zh=_TIME[1])
    return ms


def bad_cursor(after: str) -> Problem:
    return Problem.of_value("after", after, _CURSOR[0], zh=_CURSOR[1])


def number_of(after: str) -> int:
    """A cursor that is a number. Raises Problem."""
    if not re.fullmatch(r"[0-9]{1,18}", after):
        raise bad_cursor(after)
    return int(after)


def refuse_unknown(request: Asked) -> None:
    """A misspelt name must not give another answer than was asked for. Raises Problem."""
    known = [name for name in _fields(request) if name not in request.path_params]
    for name in request.query_params:
        if name not in known:
            listed = ", ".join(known)
            raise Problem.of_value("parameter", name, listed or "none: this address takes no parameters",
                                   zh=listed or "此地址不接受参数")
        if len(given := request.query_params.getall(name)) > 1:
            raise Problem.of_value(name, " and ".join(given), "it once", zh="只给一次")


def refusal_of(request: Asked, error: ValidationException) -> Problem:
    """What Litestar says about a parameter, in our words."""
    fields = _fields(request)
    given = {**request.query_params, **request.path_params}
    for name, (allowed, required) in fields.items():
        if required and name not in given:
            return Problem.missing(name, allowed, zh=ZH[allowed])
    extra = error.extra[0] if isinstance(error.extra, list) and error.extra else {}
    name = str(extra.get("key", ""))
    if name not in fields:
        return Problem(error.detail)
    allowed, _ = fields[name]
    return Problem.of_value(name, str(given[name]), allowed, zh=ZH[allowed])


def _fields(request: Asked) -> dict[str, tuple[str, bool]]:
    """The parameters that this address takes, in order: what each may be, in words, and whether it must be there."""
    fields = request.route_handler.parsed_fn_signature.parameters
    asked = [(name, field.kwarg_definition, field.is_required) for name, field in fields.items()]
    return {name: (words.description or "", required)
            for name, words, required in asked if isinstance(words, ParameterKwarg)}
