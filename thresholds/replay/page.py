"""A replay as one page that needs nothing else: no network, no script. English and Chinese, by day and by night."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from html import escape

from thresholds import plot
from thresholds.plan import Track
from thresholds.replay.closer import Close, closer
from thresholds.replay.episodes import Episode, Told
from thresholds.replay.figures import (
    Lane,
    Stretch,
    feature_figure,
    lanes_figure,
    level_lane,
    mark_lanes,
    readings_figure,
)
from thresholds.replay.overview import overview
from thresholds.replay.run import Replay
from thresholds.replay.words import (
    MARK_WORDS,
    compared,
    duration,
    level_words,
    moment,
    peak_words,
    reason,
    series_words,
    window,
    zone_name,
)
from thresholds.rule import Feature
from tocsin.levels import Authority, Level
from tocsin.quantities import QUANTITIES

STRETCHES = 900          # of a picture: about a pixel each
RAIN_STRETCHES = 300
MOST_ROWS = 400          # of the table of episodes
STRETCHES_MS = (60_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 3 * 3_600_000, 6 * 3_600_000, 12 * 3_600_000,
                86_400_000, 7 * 86_400_000, 30 * 86_400_000)

STYLE = plot.CSS + """
*{box-sizing:border-box}
body{overflow-wrap:anywhere;margin:0 auto;padding:16px;max-width:1120px;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif}
h1{font-size:1.45rem;margin:0 0 2px}h2{font-size:1.2rem;margin:34px 0 4px;border-top:2px solid var(--line);
padding-top:16px}h3{font-size:1rem;margin:22px 0 2px}p{margin:4px 0}small,.soft{color:var(--soft)}
figure{margin:10px 0 18px;padding:8px 4px 10px;background:var(--panel);border-radius:8px}
figcaption{padding:2px 10px;font-weight:600}figcaption small{font-weight:400}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
th{text-align:left;font-weight:600;color:var(--soft)}th,td{padding:5px 10px 5px 0;border-bottom:1px solid var(--line);
vertical-align:top;overflow-wrap:break-word}td.why{min-width:15em}td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}td.t{white-space:nowrap;
font-variant-numeric:tabular-nums}a{color:var(--curve)}
.level{display:inline-block;white-space:nowrap;padding:0 8px;border-radius:9px;font-weight:600;color:var(--ink);
background:var(--line)}.level.blue{background:var(--blue);color:#fff}.level.yellow{background:var(--yellow);color:#111}
.level.orange{background:var(--orange);color:#111}.level.red{background:var(--red);color:#fff}
details{border:1px solid var(--line);border-radius:8px;margin:8px 0;padding:0 10px}
summary{cursor:pointer;padding:8px 0}details[open]{padding-bottom:10px}
input[name=lang]{position:absolute;opacity:0}.switch{float:right;font-size:14px}
.switch label{cursor:pointer;padding:2px 8px;border:1px solid var(--line);border-radius:6px}
#en:checked~main [lang=zh],#zh:checked~main [lang=en]{display:none}
#en:checked~main .switch [for=en],#zh:checked~main .switch [for=zh]{background:var(--line)}
#en:focus-visible~main .switch [for=en],#zh:focus-visible~main .switch [for=zh]{outline:2px solid var(--curve)}
svg.plot .dots.held{stroke:var(--second);stroke-width:5}
.tall{max-height:60vh;overflow-y:auto}
@media(max-width:640px){body{padding:12px}.cards tr{display:flex;flex-wrap:wrap;gap:0 10px;padding:6px 0;
border-bottom:1px solid var(--line)}.cards td{border:0;padding:0}.cards th{display:none}.cards td.why{width:100%}}
@media print{details{break-inside:avoid}.switch{display:none}}
"""


@dataclass(frozen=True, slots=True)
class About:
    """What stands above a page: the rules file, its hash, how many episodes, how the records were read."""

    rules: str
    rules_hash: str
    episodes: int
    notes: Sequence[str] = ()


def page(sections: Sequence[str], about: About, zone: tzinfo) -> str:
    """The whole page as HTML; `sections` are those of the stations."""
    many = f"{len(sections)} {'record' if len(sections) == 1 else 'records'}"
    said = (both("rules", "规则") + f" {about.rules_hash[:12]} · " + both("times in", "时区")
            + f" {escape(zone_name(zone))} · " + both(f"{about.episodes} episodes in {many}",
                                                      f"{len(sections)} 份记录，共 {about.episodes} 次预警过程"))
    notes = "".join(f"<p class=soft>{escape(note)}</p>" for note in about.notes)
    return document(f"tocsin replay: {about.rules}", STYLE, f"<h1>{both('Replay', '回放')}: {escape(about.rules)}</h1>"
                    f"<p class=soft>{said}</p>{notes}{''.join(sections)}")


def document(title: str, style: str, content: str) -> str:
    """A page that stands alone, with a switch between its two languages. `content` is HTML, `title` is text."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{style}</style></head><body>"
        '<input type="radio" name="lang" id="en" checked><input type="radio" name="lang" id="zh">'
        '<main><p class="switch"><label for="en">English</label> <label for="zh">中文</label></p>'
        f"{content}</main></body></html>\n"
    )


def both(en: str, zh: str) -> str:
    """Words in both languages, of which the page shows one."""
    return f'<span lang="en">{escape(en)}</span><span lang="zh">{escape(zh)}</span>'


def section(found: Replay, first: int, zone: tzinfo) -> str:
    """The part of a page about one station; its episodes are counted on from `first`."""
    history = found.history
    start_ms, end_ms = int(history.t_ms.min()), int(history.t_ms.max())
    parts = [f"<h2>{escape(history.station)}</h2><p class=soft>{moment(start_ms, zone)} – {moment(end_ms, zone)}, "
             f"{both(f'{len(history.t_ms)} rows', f'{len(history.t_ms)} 行')}</p>"]
    parts.append(_episode_table(found.episodes, first, zone))
    parts += [_series_figure(found, column, start_ms, end_ms, zone) for column in range(len(history.series))]
    parts.append(_groups_figure(found, start_ms, end_ms, zone))
    parts.append(_closer_looks(found, first, zone))
    parts.append(_quality_table(found))
    return "".join(parts)


def _series_figure(found: Replay, column: int, start_ms: int, end_ms: int, zone: tzinfo) -> str:
    """The whole record of a series, with the levels of every rule on it."""
    series = found.history.series[column]
    tracks = [track for track in found.plan.tracks if track.series_index == column]
    stretches, width = STRETCHES, 0
    if series.summed:
        width = next((ms for ms in STRETCHES_MS if ms >= max(series.period_ms, (end_ms - start_ms) / RAIN_STRETCHES)),
                     STRETCHES_MS[-1])
        # amounts end at their time: what fell until midnight belongs to the day before
        start_ms = (start_ms - 1) // width * width + 1
        stretches = (end_ms - start_ms) // width + 1
        end_ms = start_ms + stretches * width
    seen = overview(found.history, found.marks, column, (0, len(found.history.t_ms)), start_ms, end_ms, stretches)
    within = (start_ms, end_ms)
    lanes = [_lane(found, track, within, zone) for track in tracks]
    lanes += mark_lanes(seen.marked, found.tallies[column].gaps, _stale(found, column, end_ms), within, zone)
    return _figure(series_caption(series.key, width), readings_figure(seen, series, tracks, zone),
                   lanes_figure(start_ms, end_ms, lanes))


def _lane(found: Replay, track: Track, within: Stretch, zone: tzinfo) -> Lane:
    return level_lane(track.rule.name, [one for one in found.episodes if one.track is track], within, zone)


def _groups_figure(found: Replay, start_ms: int, end_ms: int, zone: tzinfo) -> str:
    """The levels of rules over several devices, which have no readings of their own."""
    lanes = [_lane(found, track, (start_ms, end_ms), zone)
             for track in found.plan.tracks if track.series_index >= len(found.history.series)]
    return _figure(both("several devices together", "多站同现"), lanes_figure(start_ms, end_ms, lanes)) if lanes else ""


def series_caption(key: str, width_ms: int) -> str:
    """What is shown, in which unit; of rain, over what it is summed."""
    words, unit = series_words(key), QUANTITIES[key.rpartition("/")[2]].unit
    per_en, per_zh = window(width_ms // 1000)
    if per_en:
        return f"{both(*words)} <small>{both(f'{unit} in {per_en}', f'{unit} / {per_zh}')}</small>"
    return f"{both(*words)} <small>{escape(unit)}</small>"


def _stale(found: Replay, column: int, end_ms: int) -> list[Stretch]:
    series, begun = found.history.series[column], None
    spans: list[Stretch] = []
    for one in found.freshness:
        if one.series == series and one.stale and begun is None:
            begun = one.t_ms
        elif one.series == series and not one.stale and begun is not None:
            spans.append((begun, one.t_ms))
            begun = None
    return spans if begun is None else [*spans, (begun, end_ms)]


def _figure(caption: str, *drawn: str) -> str:
    head = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{head}{''.join(drawn)}</figure>"


def _episode_table(episodes: Sequence[Episode], first: int, zone: tzinfo) -> str:
    if not episodes:
        return f"<p><b>{both('No episode: nothing was raised.', '没有预警过程。')}</b></p>"
    rows = "".join(
        f'<tr><td class=n><a href="#e{first + n}">{first + n}</a></td><td>{escape(one.rule)}</td>'
        f"<td>{both(*series_words(one.series))}</td><td>{badge(one.level)}</td>"
        f"<td class=t>{moment(one.raised_ms, zone)}</td><td class=t>{_cleared(one, zone)}</td>"
        f"<td class=n>{_lasted(one)}</td><td class=n>{escape(peak_words(one))}</td><td class=why>{_why(one)}</td></tr>"
        for n, one in enumerate(episodes[:MOST_ROWS], 1))
    more = len(episodes) - MOST_ROWS
    said = both(f"{more} more are not listed; --json has them all.", f"另有 {more} 次未列出，全部见 --json。")
    heads = "".join(f"<th{' class=n' if en in {'lasted', 'peak', '#'} else ''}>{both(en, zh)}</th>" for en, zh in (
        ("#", "#"), ("rule", "规则"), ("series", "测项"), ("level", "等级"), ("raised", "发布"), ("cleared", "解除"),
        ("lasted", "历时"), ("peak", "峰值"), ("why", "依据")))
    return f'<div class="wide tall"><table class=cards><tr>{heads}</tr>{rows}</table></div>' + (
        f"<p class=soft>{said}</p>" if more > 0 else "")


def badge(level: Level) -> str:
    return f'<span class="level {level.word}">{escape(level_words(level))}</span>'


def _cleared(one: Episode, zone: tzinfo) -> str:
    return both("lasts", "未解除") if one.cleared_ms is None else moment(one.cleared_ms, zone)


def _lasted(one: Episode) -> str:
    return "" if one.cleared_ms is None else both(*duration(one.cleared_ms - one.raised_ms))


def _why(one: Episode) -> str:
    (of_en, of_zh), (en, zh) = compared(one), reason(one, one.evidence)
    return both(en, zh) if one.feature is Feature.VALUE else both(f"{of_en}: {en}", f"{of_zh}：{zh}")


def _closer_looks(found: Replay, first: int, zone: tzinfo) -> str:
    """The worst episodes one by one, folded away."""
    looks = closer(found)
    if not looks:
        return ""
    left_out = len(found.episodes) - len(looks)
    said = both(f"{left_out} lesser episodes are not drawn.", f"另有 {left_out} 次较轻的过程未绘出。")
    drawn = "".join(_look(found, look, first, zone) for look in looks)
    return f"<h3>{both('Episodes, looked at closely', '逐次过程')}</h3>{drawn}" + (
        f"<p class=soft>{said}</p>" if left_out else "")


def _look(found: Replay, look: Close, first: int, zone: tzinfo) -> str:
    one, track = look.episode, look.episode.track
    drawn: list[tuple[str, str]] = []
    within = (look.start_ms, look.end_ms)
    lanes = [_lane(found, track, within, zone)] if track is not None else []
    if track is not None and track.series_index < len(found.history.series):
        series = found.history.series[track.series_index]
        seen = overview(found.history, found.marks, track.series_index, look.rows, look.start_ms, look.end_ms,
                        look.stretches(series))
        caption = series_caption(series.key, look.width_ms(series) if series.summed else 0)
        drawn.append((caption, readings_figure(seen, series, [track], zone)))
        lanes += mark_lanes(seen.marked, seen.gaps, [], within, zone)
    if look.curve and track is not None:
        gap_ms = 2 * track.series.period_ms
        drawn.append((f"{both(*compared(one))} <small>{escape(one.unit)}</small>",
                      feature_figure(track, look.curve, look.start_ms, look.end_ms, gap_ms, zone)))
    drawn.append(("", lanes_figure(look.start_ms, look.end_ms, lanes)))
    figures = "".join(_figure(caption, picture) for caption, picture in drawn)
    number = first + look.number
    return (f'<details id="e{number}"><summary>{number}. {badge(one.level)} <b>{escape(one.rule)}</b> '
            f"{both(*series_words(one.series))} <span class=soft>{moment(one.raised_ms, zone)}</span></summary>"
            f"{figures}{_steps(one, zone)}</details>")


def _steps(one: Episode, zone: tzinfo) -> str:
    rows = "".join(
        f"<tr><td class=t>{moment(told.t_ms, zone)}</td><td>{badge(told.level)}</td>"
        f"<td>{both(*reason(one, told))}</td><td>{_asks(told)}</td></tr>" for told in one.told)
    return (f"<p class=soft>{both('first qualifying reading', '首个达标读数')}: {moment(one.since_ms, zone)}; "
            f"{both('episode', '过程编号')} {one.id}</p><div class=wide><table class=cards>{rows}</table></div>")


def _asks(told: Told) -> str:
    """What is asked of people, and whether a person decides it first."""
    if told.level is Level.CLEAR:
        return ""
    waits = {Authority.CONFIRM: ("; a person confirms", "；须人工确认"),
             Authority.AFTER: (f"; after {told.hold_s:g} s", f"；{told.hold_s:g} 秒后生效")}
    en, zh = waits.get(told.authority, ("", ""))
    return both(told.stage.en + en, told.stage.zh + zh)


def _quality_table(found: Replay) -> str:
    heads = (("series", "测项"), ("every", "间隔"), ("readings", "读数"), ("missing", "缺测"), *MARK_WORDS.values(),
             ("stale", "中断次数"), ("gaps", "缺口"), ("longest", "最长"))
    head = "".join(f"<th{'' if en == 'series' else ' class=n'}>{both(en, zh)}</th>" for en, zh in heads)
    rows = "".join(
        f"<tr><td>{both(*series_words(one.series.key))}</td>" + "".join(f"<td class=n>{cell}</td>" for cell in (
            both(*duration(one.series.period_ms)), one.readings, one.missing,
            *(one.marked[mark] for mark in MARK_WORDS), one.stale, one.gap_count,
            both(*duration(one.longest_ms)) if one.gap_count else "")) + "</tr>" for one in found.tallies)
    return f"<h3>{both('Readings', '读数')}</h3><div class=wide><table><tr>{head}</tr>{rows}</table></div>"
