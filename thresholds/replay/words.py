"""What people read of a replay, in English and Chinese: numbers, moments, durations, and why a level was reached."""

from datetime import UTC, datetime, tzinfo

from thresholds.plan import COINCIDENCE
from thresholds.replay.columns import DEVICE
from thresholds.replay.episodes import Episode, Told
from thresholds.rule import MINUTE_MS, WEEK_MS, Feature
from tocsin.levels import Level
from tocsin.quantities import QUANTITIES
from tocsin.readings import Quality
from tocsin.times import utc

WEEK_MIN = WEEK_MS / MINUTE_MS    # the farthest that a time to a target is told

MARK_WORDS = {
    Quality.RANGE: ("out of range", "超出范围"),
    Quality.SPIKE_HELD: ("held as a spike", "疑似尖峰"),
    Quality.STUCK: ("stuck", "长时间不变"),
    Quality.LATE: ("late or repeated", "迟到或重复"),
    Quality.CLOCK: ("clock in doubt", "时钟存疑"),
    Quality.SERVICE: ("service", "维护"),
}
FEATURE_WORDS = {
    Feature.VALUE: ("value", "数值"),
    Feature.SUM: ("sum", "累计"),
    Feature.RATE: ("rate", "变幅"),
    Feature.SLOPE: ("slope", "趋势"),
    Feature.TIME_TO: ("time to the target", "预计到达时间"),
    Feature.CUSUM: ("cumulative sum", "累积和"),
    Feature.COINCIDENCE: ("coincidence", "多站同现"),
}
MINUTES = "min"


def number(value: float, decimals: int = 3) -> str:
    """At most so many decimals, without zeros behind."""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if decimals else text
    return "0" if text == "-0" else text


def bare(value: float, unit: str) -> str:
    """The number alone, as finely as its unit deserves."""
    return number(value, 1 if unit == MINUTES else 3)


def amount(value: float, unit: str) -> str:
    """The number with its unit."""
    return f"{bare(value, unit)} {unit}".strip()


def moment(t_ms: int, zone: tzinfo = UTC) -> str:
    """To the second, seconds only where there are some."""
    at = utc(t_ms).astimezone(zone)
    return f"{at:%Y-%m-%d %H:%M:%S}" if at.second else f"{at:%Y-%m-%d %H:%M}"


def zone_name(zone: tzinfo) -> str:
    return "UTC" if zone is UTC else getattr(zone, "key", "") or str(datetime.now(zone).tzname())


def duration(ms: int) -> tuple[str, str]:
    """In the two units that say most."""
    seconds = round(ms / 1000)
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return (f"{days} d {hours} h", f"{days}天{hours}小时") if hours else (f"{days} d", f"{days}天")
    if hours:
        rest_en, rest_zh = (f" {minutes:02} min", f"{minutes:02}分") if minutes else ("", "")
        return f"{hours} h{rest_en}", f"{hours}小时{rest_zh}"
    if minutes:
        return f"{minutes} min", f"{minutes}分钟"
    return f"{seconds} s", f"{seconds}秒"


def window(over_s: int) -> tuple[str, str]:
    """"" where a feature has none."""
    if not over_s:
        return "", ""
    minutes = over_s / 60
    if minutes > 1440 and minutes % 1440 == 0:
        return f"{minutes / 1440:g} d", f"{minutes / 1440:g}天"
    if minutes >= 60 and minutes % 60 == 0:
        return f"{minutes / 60:g} h", f"{minutes / 60:g}小时"
    return f"{minutes:g} min", f"{minutes:g}分钟"


def compared(one: Episode) -> tuple[str, str]:
    """What the rule compares: "sum over 3 h"."""
    en, zh = FEATURE_WORDS[one.feature]
    over_en, over_zh = window(one.over_s)
    return (f"{en} over {over_en}", f"{over_zh}{zh}") if over_en else (en, zh)


def reason(one: Episode, told: Told) -> tuple[str, str]:
    """Why the level changed: "2.05 m is above 1.8 m"."""
    value, limit = amount(told.value, one.unit), amount(told.threshold, one.unit)
    if one.feature is Feature.TIME_TO and told.value >= WEEK_MIN:
        return f"a week or never is above {limit}", f"一周以上或不会到达，高于 {limit}"
    if told.threshold == told.value:
        return f"{value} is at {limit}", f"{value} 达到 {limit}"
    if told.value > told.threshold:
        return f"{value} is above {limit}", f"{value} 高于 {limit}"
    return f"{value} is below {limit}", f"{value} 低于 {limit}"


def peak_words(one: Episode) -> str:
    """The worst that its rule compared; "" where that was not looked for."""
    return "" if one.peak is None else amount(one.peak.value, one.unit)


def level_words(level: Level) -> str:
    """In both languages: it stands where there is no room to choose."""
    return f"{level.word} {level.zh}"


def series_words(key: str) -> tuple[str, str]:
    """"naegok: water stage"."""
    device, _, name = key.rpartition("/")
    if device == COINCIDENCE:
        return "several devices", "多站"
    quantity = QUANTITIES.get(name)
    if quantity is None:
        return key, key
    return (quantity.en, quantity.zh) if device == DEVICE else (f"{device}: {quantity.en}", f"{device}：{quantity.zh}")
