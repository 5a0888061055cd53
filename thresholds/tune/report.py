"""What came out of a sweep, in tables for a terminal and in sentences."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from thresholds.tables import Bools
from thresholds.tune.choose import Certainty, Fold, Score, certainty, front, score, together
from thresholds.tune.events import Said
from thresholds.tune.facts import Row, evidence, facts_of, lead, rate, ratio, shown, terms_words, unit
from thresholds.tune.study import Answer, Study

CHOSEN, FILE, FRONT = "chosen", "as in the file", ""
# the columns of a score, as `numbers` fills them
SCORES = (("events", "事件"), ("POD", "命中率"), ("FAR", "空报率"), ("CSI", "CSI"), ("lead, median", "提前量中位"),
          ("lead, 10 %", "提前量10%"), ("episodes/event", "过程/事件"), ("alarms/h", "报警/小时"))


def rows_of(study: Study, found: Answer, cells: Bools) -> list[Row]:
    """The chosen one, the file's own, and what no other beats in both POD and FAR."""
    field, counts = study.prepared.field, study.counts
    marks = {found.number: CHOSEN if found.number else f"{CHOSEN}, {FILE}"}
    marks.setdefault(0, FILE)
    for number in front(counts, found.tuned_on):
        marks.setdefault(number, FRONT)
    return [Row(number, mark, score(field, counts, number, cells)) for number, mark in marks.items()]


def settings_table(study: Study, rows: Sequence[Row], title: str) -> Table:
    """One row a candidate: what it says, how it scores."""
    tried, level = study.prepared.tried, study.prepared.problem.target.level
    names = shown(tried, level)
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(f"{name}, {unit(tried[0])}" if name in {"on", "off"} and unit(tried[0]) else name,
                         justify="right", no_wrap=True)
    for head, _ in SCORES:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        facts = facts_of(tried[row.number], level)
        table.add_row(row.mark, *(facts[name] for name in names), *numbers(row.score),
                      style="bold" if row.mark.startswith(CHOSEN) else "")
    return table


def numbers(found: Score) -> tuple[str, ...]:
    """A score as cells, in the order of SCORES."""
    return (f"{found.hits}/{found.events}", ratio(found.pod), ratio(found.far), ratio(found.csi),
            lead(found.lead_median_ms), lead(found.lead_low_ms), ratio(found.per_event), rate(found.per_hour))


def folds_table(study: Study, folds: Sequence[Fold]) -> Table:
    """What would have been chosen without each part, and what it then did on that part."""
    tried, level = study.prepared.tried, study.prepared.problem.target.level
    table = Table(box=box.SIMPLE, title="Left out, one after the other 逐一留出检验", title_justify="left")
    names = shown(tried, level)
    for head in ("left out", *names, *(head for head, _ in SCORES)):
        table.add_column(head, justify="left" if head == "left out" else "right", no_wrap=True)
    for fold in folds:
        facts = facts_of(tried[fold.number], level)
        table.add_row(fold.name, *(facts[name] for name in names), *numbers(fold.score))
    return table


def sentences(study: Study, found: Answer) -> list[Said]:
    """The evidence for the choice, a line each."""
    field, counts = study.prepared.field, study.counts
    tuned = score(field, counts, found.number, found.tuned_on)
    lines = [terms_words(field.terms), *evidence(("tuned on", "率定"), tuned, certainty(tuned))]
    held = together(found.folds)
    if held:
        parts = len(found.folds)
        words = (f"each of {parts} parts judged by what the others chose",
                 f"{parts}部分逐一留出，以其余部分的选择检验")
        lines += evidence(words, held, certainty(held))
    else:
        lines.append(("all events lie in one part of the time at one station: nothing could be left out; elsewhere it "
                      "may do worse", "全部事件集中于一站一时段，无法留出检验；换到别处可能更差"))
    if found.judged_on.any():
        judged = score(field, counts, found.number, found.judged_on)
        if judged.events:
            lines += evidence(("judged on what was not tuned on", "未参与率定部分的检验"), judged, certainty(judged))
        else:
            lines.append((f"judged on what was not tuned on: no event; {judged.false} false alarms",
                          f"未参与率定部分：无事件，空报{judged.false}次"))
    return [*lines, _verdict(tuned, certainty(tuned))]


def _verdict(tuned: Score, sure: Certainty) -> Said:
    """In one sentence whether the choice can be relied on."""
    if not tuned.hits:
        return ("verdict: no combination warns of a single event in time; the lead floor is more than these readings "
                "can give", "结论：没有任何组合能及时预警；这些读数给不出所要求的提前量")
    if sure.too_few[0]:
        return f"verdict: {sure.too_few[0]}", f"结论：{sure.too_few[1]}"
    csi, low, high = ratio(tuned.csi), f"{sure.csi.low:.2f}", f"{sure.csi.high:.2f}"
    return (f"verdict: CSI {csi} at this lead, between {low} and {high}",
            f"结论：此提前量下CSI为{csi}，介于{low}与{high}之间")
