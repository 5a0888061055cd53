"""A sweep as one page that needs nothing else: no network, no script. English and Chinese, by day and by night."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from thresholds import plot
from thresholds.replay.page import STYLE as REPLAY_STYLE
from thresholds.replay.page import both, document
from thresholds.replay.words import duration, level_words, moment
from thresholds.tables import Bools
from thresholds.tune import report
from thresholds.tune.choose import front
from thresholds.tune.events import Said
from thresholds.tune.facts import Row, facts_of, lead, minutes, shown, unit
from thresholds.tune.score import NOT
from thresholds.tune.study import Answer, Study
from thresholds.tune.sweep import Candidate

STYLE = REPLAY_STYLE + """
svg.plot circle.try{fill:var(--soft);opacity:.3}svg.plot circle.best{fill:var(--curve)}
svg.plot circle.file{fill:var(--second)}svg.plot circle.chosen{fill:var(--red)}
svg.plot circle.missed{fill:none;stroke:var(--red);stroke-width:1.5}
svg.plot .curve.won{stroke:var(--red);stroke-width:2}svg.plot .curve.own{stroke:var(--second)}
.key i{display:inline-block;width:10px;height:10px;border-radius:5px;margin:0 4px 0 12px}
tr.chosen td{font-weight:600}pre{overflow-x:auto;background:var(--panel);padding:10px;border-radius:8px;font-size:13px}
"""
MOST_POINTS = 800
HEAD = {
    "on": ("on", "触发"), "off": ("off", "解除"), "n of m": ("N of M", "M中取N"), "on delay": ("on delay", "触发延时"),
    "off delay": ("off delay", "解除延时"), "over": ("window", "窗口"), "min valid": ("coverage", "最低覆盖"),
    "n_min": ("least readings", "最少读数"), "robust": ("robust", "稳健"), "target": ("target", "目标"),
    "floor": ("floor", "下限"), "allowance": ("allowance", "容许量"), "reference": ("reference", "基准"),
}


@dataclass(frozen=True, slots=True)
class About:
    """What stands around the results: the command that repeats them, what to know of them, the rules file."""

    command: str
    notes: Sequence[Said]
    rules: str


def page(study: Study, found: Answer, about: About) -> str:
    """The whole page as HTML."""
    prepared = study.prepared
    target = prepared.problem.target
    title = f"{target.rule.name}: {target.level.word}"
    words = report.sentences(study, found)
    many = len(prepared.tried)
    said = both(f"{many} combinations, {len(prepared.field.events)} events, {len(prepared.field.spans)} records",
                f"{many} 种组合，{len(prepared.field.events)} 次事件，{len(prepared.field.spans)} 份记录")
    parts = [
        f"<h1>{both('Thresholds', '阈值率定')}: {escape(target.rule.name)} {_level(study)}</h1>",
        f"<p class=soft>{said}</p><p class=soft>{both(*words[0])}</p>",
        f"<p><b>{both(*words[-1])}</b></p>",
        "".join(f"<p class=soft>{both(*note)}</p>" for note in about.notes),
        _settings(study, report.rows_of(study, found, found.tuned_on), ("What was tried", "试过的组合")),
        _trade_off(study, found), _by_lead(study, found), _leads(study, found),
        _judged(study, found), _folds(study, found),
        f"<h2>{both('In words', '说明')}</h2>",
        *(f"<p>{both(*line)}</p>" for line in words),
        f"<h2>{both('The rules file', '规则文件')}</h2><pre>{escape(about.rules)}</pre>",
        f"<h2>{both('Again', '重现')}</h2><pre>{escape(about.command)}</pre>",
    ]
    return document(f"tocsin tune: {title}", STYLE, "".join(parts))


def _level(study: Study) -> str:
    level = study.prepared.problem.target.level
    return f'<span class="level {level.word}">{level_words(level)}</span>'


def _settings(study: Study, rows: Sequence[Row], title: tuple[str, str]) -> str:
    tried, level = study.prepared.tried, study.prepared.problem.target.level
    names = shown(tried, level)
    heads = [("", ""), *(_with_unit(name, tried[0]) for name in names), *report.SCORES]
    lines = []
    for row in rows:
        facts = facts_of(tried[row.number], level)
        lines.append((row.mark.startswith(report.CHOSEN), [_mark(row.mark), *(facts[name] for name in names),
                                                           *report.numbers(row.score)]))
    return f"<h2>{both(*title)}</h2>{_table(heads, lines)}"


def _with_unit(name: str, one: Candidate) -> tuple[str, str]:
    en, zh = HEAD[name]
    of = f", {unit(one)}" if name in {"on", "off"} and unit(one) else ""
    return en + of, zh + of


def _mark(words: str) -> str:
    zh = {report.CHOSEN: "选定", report.FILE: "原文件", report.FRONT: ""}.get(words, "选定，同原文件")
    return both(words, zh) if words else ""


def _table(heads: Sequence[tuple[str, str]], lines: Iterable[tuple[bool, Sequence[str]]]) -> str:
    """Cells are HTML or plain numbers; the first stands left."""
    head = "".join(f"<th{' class=n' if number else ''}>{both(*words)}</th>" for number, words in enumerate(heads))
    body = "".join(f"<tr{' class=chosen' if bold else ''}>" + "".join(
        f"<td class={'n' if number else 't'}>{cell}</td>" for number, cell in enumerate(cells)) + "</tr>"
        for bold, cells in lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _figure(caption: tuple[str, str], words: tuple[str, str], drawn: str, key: str = "") -> str:
    return (f"<figure><figcaption>{both(*caption)} <small>{both(*words)}</small></figcaption>{drawn}"
            f'<p class="key soft">{key}</p></figure>')


def _dot(color: str, en: str, zh: str) -> str:
    return f'<i style="background:var(--{color})"></i>{both(en, zh)}'


def _trade_off(study: Study, found: Answer) -> str:
    """FAR to the right, POD up: what is further up and to the left is better."""
    ratios = _ratios(study, found.tuned_on)
    # many settings come to the same place: one point each
    places = {(round(far, 3), round(pod, 3)): number for number, (pod, far) in reversed(list(enumerate(ratios)))}
    several = list(places.items())[:: max(1, len(places) // MOST_POINTS)]
    picture = plot.Plot(0, 1, plot.Axis((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), 260),
                        tuple((tick / 5, f"FAR {tick / 5:g}") for tick in range(6)))
    drawn = plot.points(picture, ((far, pod, "try", _says(study, number)) for (far, pod), number in several), 2.5)
    drawn += plot.points(picture, ((ratios[number][1], ratios[number][0], "best", _says(study, number))
                                   for number in front(study.counts, found.tuned_on)), 3.5)
    for number, word in ((0, "file"), (found.number, "chosen")):
        pod, far = ratios[number]
        drawn += plot.points(picture, [(far, pod, word, _says(study, number))], 5.5)
    key = (_dot("soft", "tried", "试过") + _dot("curve", "beaten by none in both", "两项均不被超过")
           + _dot("second", "as in the file", "原文件") + _dot("red", "chosen", "选定"))
    return _figure(("Events found, and false alarms", "命中与空报"),
                   ("POD over FAR; the upper left is better", "纵轴命中率，横轴空报率；左上为优"),
                   plot.picture(picture, drawn, "POD over FAR"), key)


def _ratios(study: Study, cells: Bools) -> list[tuple[float, float]]:
    """(POD, FAR) of every candidate; FAR 0 where there was no alarm."""
    field, counts = study.prepared.field, study.counts
    events = max(int(cells[field.event_cell].sum()), 1)
    hits = (counts.lead[:, cells[field.event_cell]] != NOT).sum(axis=1)
    false, alarms = counts.false[:, cells].sum(axis=1), counts.alarms[:, cells].sum(axis=1)
    return list(zip((hits / events).tolist(), (false / np.maximum(alarms, 1)).tolist(), strict=True))


def _says(study: Study, number: int) -> str:
    facts = facts_of(study.prepared.tried[number], study.prepared.problem.target.level)
    return ", ".join(f"{name} {words}" for name, words in facts.items() if words)


def _by_lead(study: Study, found: Answer) -> str:
    """CSI, if warnings had to come sooner or might come later."""
    field, counts = study.prepared.field, study.counts
    cells = found.tuned_on
    events = int(cells[field.event_cell].sum())
    hits, false = counts.reach[:, cells].sum(axis=1), counts.false[:, cells].sum(axis=1)
    csi = hits / np.maximum(events + false, 1)[:, None]
    floors = [minutes(floor) for floor in field.terms.floors]
    order = sorted(range(len(floors)), key=lambda at: floors[at])
    left, right = min(floors), max(floors)
    marks = tuple((tick, f"{tick:g} min") for tick in plot.nice_ticks(left, right, 5) if left <= tick <= right)
    picture = plot.Plot(left, right if right > left else left + 1, plot.Axis((0.0, 0.2, 0.4, 0.6, 0.8, 1.0)), marks)

    def line(values: Sequence[float], words: str) -> str:
        return plot.curve(picture, [[(floors[at], values[at]) for at in order]], words)

    drawn = plot.inner(picture, line(csi.max(axis=0).tolist(), "curve") + line(csi[0].tolist(), "curve own")
                       + line(csi[found.number].tolist(), "curve won"))
    drawn += plot.moments(picture, [(minutes(field.terms.floor_ms), "faint", "lead floor")])
    key = (_dot("curve", "the best for each lead floor", "各提前量下最优") + _dot("second", "as in the file", "原文件")
           + _dot("red", "chosen", "选定"))
    return _figure(("CSI over the lead floor", "CSI 与最短提前量"),
                   ("the upright line is the floor that was asked for", "竖线为所要求的最短提前量"),
                   plot.picture(picture, drawn, "CSI over the lead floor"), key)


def _leads(study: Study, found: Answer) -> str:
    """The lead of every event, missed ones on the floor."""
    field, counts = study.prepared.field, study.counts
    of = counts.lead[found.number]
    hits = [minutes(value) for value in of[of != NOT].tolist()]
    picture = plot.Plot(-0.5, len(of) - 0.5, plot.Axis.around([*hits, 0.0, minutes(field.terms.floor_ms)]))
    points = []
    for number, (event, value) in enumerate(zip(field.events, of.tolist(), strict=True)):
        hit = value != NOT
        says = f"{event.station} {moment(event.start_ms)}: {lead(value) if hit else 'no warning in time'}"
        points.append((float(number), minutes(value) if hit else 0.0, "chosen" if hit else "missed", says))
    drawn = plot.points(picture, points, 3.5)
    drawn += plot.limits(picture, [(minutes(field.terms.floor_ms), "aim", duration(abs(field.terms.floor_ms))[0])])
    return _figure(("Lead of every event", "每次事件的提前量"),
                   ("minutes; in order of station and time; hollow: no warning in time", "分钟；空心为未及时预警"),
                   plot.picture(picture, drawn, "lead of every event"))


def _judged(study: Study, found: Answer) -> str:
    if not found.judged_on.any():
        return ""
    rows = [row for row in report.rows_of(study, found, found.judged_on) if row.mark]
    return _settings(study, rows, ("Judged on what was not tuned on", "未参与率定部分的检验"))


def _folds(study: Study, found: Answer) -> str:
    if not found.folds:
        return ""
    tried, level = study.prepared.tried, study.prepared.problem.target.level
    names = shown(tried, level)
    heads = [("left out", "留出"), *(_with_unit(name, tried[0]) for name in names), *report.SCORES]
    lines = [(False, [escape(fold.name), *(facts[name] for name in names), *report.numbers(fold.score)])
             for fold in found.folds for facts in (facts_of(tried[fold.number], level),)]
    return f"<h2>{both('Left out, one after the other', '逐一留出检验')}</h2>{_table(heads, lines)}"
