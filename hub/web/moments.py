"""Times as people read them: local time in the text, UTC beside it in the title."""

from zoneinfo import ZoneInfo

from markupsafe import Markup

from tocsin.times import iso, utc


def clock_time(ms: int, zone: ZoneInfo, now_ms: int) -> str:
    """`14:20:05` of today, else with the date: `2024-08-07 14:20:05`."""
    local, today = utc(ms).astimezone(zone), utc(now_ms).astimezone(zone).date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M:%S")


def time_tag(ms: int, zone: ZoneInfo, now_ms: int) -> Markup:
    """A <time> element: local time shown, UTC in its title."""
    moment = iso(ms)
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        moment, moment.replace("T", " ").removesuffix("Z"), clock_time(ms, zone, now_ms)
    )


def duration(ms: int, lang: str) -> str:
    """The two largest units: `2 d 3 h`, `2 h 10 min`, `45 s`; in Chinese `2 天 3 小时`."""
    seconds = max(0, ms) // 1000
    for size, big, per, small in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // per
            parts = [(seconds // size, big), *([(rest, small)] if rest and size != 60 else [])]
            break
    else:
        parts = [(seconds, "s")]
    return " ".join(f"{count} {_UNITS[unit] if lang == 'zh' else unit}" for count, unit in parts)


_UNITS = {"d": "天", "h": "小时", "min": "分钟", "s": "秒"}
