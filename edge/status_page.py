"""What `tocsin status` shows: the state of a station on a telephone's terminal, 40 to 60 columns wide."""

from collections.abc import Iterator
from typing import Any

from edge.mounts import SELDOM_S
from edge.survey import SeriesNow, StationNow
from edge.words import WIDTH, Words, cells, folded, width
from tocsin.faults import Fault
from tocsin.health_words import FAULT, POWER, fault_zh
from tocsin.levels import Level
from tocsin.quantities import QUANTITIES
from tocsin.readings import Quality
from tocsin.times import iso

_LATE_PERIODS = 3
TABLE = {
    "version": ("tocsin {version}, up {up}, rules {rules}", "tocsin {version}，已运行 {up}，规则 {rules}"),
    "clear": ("everything is clear", "全部正常"),
    "shelved": ("SHELVED: {rule}", "搁置：{rule}"),
    "left": ("{left} more", "还剩 {left}"),
    "since": ("since {since}", "已 {since}"),
    "levels": ("LEVELS", "预警"),
    "readings": ("READINGS", "读数"),
    "faults": ("FAULTS", "故障"),
    "no_faults": ("none", "无"),
    "refused": ("{device}: {fault} ({refused} refused)", "{device}：{fault}（拒绝 {refused} 次）"),
    "probed": ("; only probed", "；仅作探测"),
    "stands": ("{fault}: {detail}, found {age} ago", "{fault}：{detail}（{age}前发现）"),
    "error": ("{device}: good again; last error {age} ago: {fault} ({refused} refused)",
              "{device}：已恢复；最近一次错误 {age}前：{fault}（拒绝 {refused} 次）"),
    "never": ("not read", "尚无"),
    "service": ("in service for {left} more", "检修中，还剩 {left}"),
    "good": ("last good {age} ago", "最近有效读数 {age}前"),
    "link": ("LINK", "通信"),
    "up": ("connected to {host}", "已连接 {host}"),
    "down": ("NO CONNECTION to {host}", "未连接 {host}"),
    "asleep": ("asleep for some minutes, to save power", "为节电暂时休眠"),
    "backlog": ("{count} records wait for the hub", "{count} 条记录待上传"),
    "answered": ("the hub answered {age} ago", "中心 {age}前已确认"),
    "unanswered": ("no answer of the hub since the start", "启动后中心尚未确认"),
    "traffic": ("{day} kB today, {month} MB this month", "今日 {day} kB，本月 {month} MB"),
    "log": ("LOG", "日志"),
    "size": ("{size} MB; {free} MB free on the disk", "{size} MB；磁盘剩余 {free} MB"),
    "waiting": ("NOT WRITTEN: {error}; {count} records wait", "无法写入：{error}；{count} 条等待"),
    "journal": ("ext4 commits each {s} s: mount it with commit=300", "ext4 每 {s} 秒提交一次：请以 commit=300 挂载"),
    "thinned": ("thinned by step {step}", "已精简到第 {step} 级"),
    "siren": ("SIREN", "警报器"),
    "silent": ("silent", "静默"),
    "sounding": ("SOUNDS for {level}", "正在鸣响：{level}"),
    "none": ("none", "无"),
    "proven": ("proven {age} ago ({how})", "{age}前已验证（{how}）"),
    "unproven": ("never proven", "从未验证"),
    "power": ("POWER", "电源"),
    "volts": ("{state}, {volts:.2f} V", "{state}，{volts:.2f} V"),
    "unread": ("{state}, voltage not read", "{state}，电压尚未读到"),
    "clock": ("CLOCK", "时钟"),
    "sync": ("synchronized", "已同步"),
    "unsync": ("not synchronized", "未同步"),
    "unknown": ("synchronization not known", "同步状态未知"),
    "doubtful": ("DOUBTFUL: it was set back", "存疑：曾被回拨"),
}
_RED, _YELLOW, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"
_MARKS = {
    Quality.RANGE: ("out of range", "超限"),
    Quality.SPIKE_HELD: ("held as a spike", "突跳待核"),
    Quality.STUCK: ("may be stuck", "疑似卡滞"),
    Quality.LATE: ("late", "迟到"),
    Quality.CLOCK: ("clock", "时钟存疑"),
}
_HOW = {"line": ("line check", "线路检查"), "test": ("heard in a test", "试鸣"), "sounded": ("in earnest", "实际鸣响")}


def page(now: StationNow, lang: str, *, colour: bool = False, columns: int = WIDTH) -> str:
    """The whole in so many columns, with escape sequences for colours where they are wanted."""
    lines = list(_Page(now, Words(TABLE, lang), columns).lines())
    painted = (f"{paint}{line}{_PLAIN}" if paint and colour else line for paint, line in lines)
    return "\n".join(painted)


Lines = Iterator[tuple[str, str]]


class _Page:
    """Lines with the colour of each, "" for none."""

    def __init__(self, now: StationNow, words: Words, columns: int) -> None:
        self._now = now
        self._columns = columns
        self._words = words
        self._siren = _table(now.health.get("siren_health"))

    def lines(self) -> Lines:
        for paint, line in self._all():
            if width(line) <= self._columns:
                yield paint, line
            else:
                yield from self._plain(line.lstrip(), paint, "  ")

    def _all(self) -> Lines:
        now, words = self._now, self._words
        name = now.name_zh if words.at else now.name
        yield from self._cells(f"{name} ({now.station})", iso(now.t // 1000 * 1000), _BOLD)
        yield from self._plain(words("version", version=now.version, up=words.span(now.up_s), rules=now.rules))
        yield from self._levels()
        yield _BOLD, words("readings")
        for series in now.series:
            yield from self._reading(series)
        yield from self._faults()
        yield from self._link()
        yield from self._log()
        yield from self._rest()

    def _plain(self, text: str, paint: str = "", first: str = "") -> Lines:
        for line in folded(text, "    ", first, self._columns):
            yield paint, line

    def _cells(self, left: str, right: str, paint: str) -> Lines:
        """On one line where both fit: a name is of use as a whole only."""
        if width(f"{left} {right}") > self._columns:
            yield paint, left
            yield paint, cells("", right, self._columns)
        else:
            yield paint, cells(left, right, self._columns)

    def _levels(self) -> Lines:
        yield _BOLD, self._words("levels")
        for one in self._now.levels:
            level = Level.of(one.level)
            since = self._words("since", since=self._words.span((self._now.t - one.since) / 1000))
            paint = _RED if level >= Level.ORANGE else _YELLOW
            yield from self._cells(f"  {(level.zh if self._words.at else level.word)} {one.rule}", since, paint)
            yield "", f"    {one.series}"
        if not self._now.levels:
            yield "", f"  {self._words('clear')}"
        for hidden in self._now.shelved:
            left = self._words("left", left=self._words.span((hidden.until - self._now.t) / 1000))
            yield from self._cells(f"  {self._words('shelved', rule=hidden.rule)}", left, _YELLOW)
            yield "", f"    {hidden.series}"

    def _reading(self, one: SeriesNow) -> Lines:
        words, now = self._words, self._now
        age_s = (now.t - one.t) / 1000
        late = not one.t or age_s > _LATE_PERIODS * one.every_s
        age = words.span(age_s) if one.t else words("never")
        known = QUANTITIES.get(one.quantity)
        value = "" if one.value is None else f"{one.value:.10g} {known.unit if known else ''}"
        marks = [mark[words.at] for bit, mark in _MARKS.items() if one.quality & bit]
        paint, right = _RED if late else _YELLOW if marks else "", f"{value:>14}{age:>9}"
        yield from self._cells(f"  {one.key}", right, paint)
        if one.service > now.t:
            marks.insert(0, words("service", left=words.span((one.service - now.t) / 1000)))
        if one.good and one.good != one.t:
            marks.append(words("good", age=words.span((now.t - one.good) / 1000)))
        if marks:
            yield from self._plain("; ".join(marks), _YELLOW, "    ")

    def _faults(self) -> Lines:
        words = self._words
        yield _BOLD, words("faults")
        bad = [self._device(one) for one in self._now.health.get("devices", []) if one["fault"]]
        stands = [self._stands(one) for one in self._now.health.get("faults", [])]
        problems = (words.at and self._now.problems_zh) or self._now.problems
        for text in (*problems, *stands, *bad):
            yield from self._plain(text, _RED, "  ")
        if not (problems or stands or bad):
            yield "", f"  {words('no_faults')}"
        refused = {one["device"]: one["refused"] for one in self._now.health.get("devices", [])}
        for error in self._now.errors:
            age, fault = words.span((self._now.t - error.t) / 1000), self._fault(error.error)
            text = words("error", device=error.device, age=age, fault=fault, refused=refused.get(error.device, 0))
            yield from self._plain(text, _YELLOW, "  ")

    def _device(self, one: dict[str, Any]) -> str:
        probed = self._words("probed") if one["device"] in self._now.probed else ""
        return self._words("refused", **one | {"fault": self._fault(one["fault"])}) + probed

    def _fault(self, fault: str) -> str:
        return fault_zh(fault) if self._words.at else fault

    def _stands(self, one: dict[str, Any]) -> str:
        what = f" {one['what']}" if one["fault"] == Fault.SENSOR else ""
        age = self._words.span((self._now.t - one["since"]) / 1000)
        fault = f"{FAULT[one['fault']][self._words.at]}{what}"
        detail = (self._words.at and one["zh"]) or one["detail"]
        return self._words("stands", fault=fault, detail=detail, age=age)

    def _link(self) -> Lines:
        words, link, health = self._words, self._now.link, self._now.health
        yield _BOLD, words("link")
        if health.get("next_s"):
            yield _YELLOW, f"  {words('asleep')}"
        else:
            yield ("" if link.connected else _RED), f"  {words('up' if link.connected else 'down', host=link.broker)}"
        if link.trouble and not health.get("next_s"):
            yield from self._plain((words.at and link.trouble_zh) or link.trouble, _RED, "  ")
        yield "", f"  {words('backlog', count=link.backlog)}"
        if link.answered_s is None:
            yield _YELLOW, f"  {words('unanswered')}"
        else:
            yield "", f"  {words('answered', age=words.span(link.answered_s))}"
        if health.get("month_bytes"):
            day, month = health.get("today_bytes", 0), health["month_bytes"]
            yield "", f"  {words('traffic', day=f'{day / 1e3:.0f}', month=f'{month / 1e6:.1f}')}"

    def _log(self) -> Lines:
        words, disk = self._words, self._now.disk
        yield _BOLD, words("log")
        yield "", f"  {words('size', size=f'{disk.log / 1e6:.1f}', free=f'{disk.free / 1e6:.0f}')}"
        if disk.error:
            error = (words.at and disk.error_zh) or disk.error
            yield from self._plain(words("waiting", error=error, count=disk.waiting), _RED, "  ")
        if 0 < disk.journal_s < SELDOM_S:
            yield _YELLOW, f"  {words('journal', s=disk.journal_s)}"
        step = _table(self._now.health.get("log")).get("thinned", 0)
        if step:
            yield _YELLOW, f"  {words('thinned', step=step)}"

    def _rest(self) -> Lines:
        words, now = self._words, self._now
        yield _BOLD, words("siren")
        level = Level(now.health.get("siren", 0))
        sounding = words("sounding", level=level.zh if words.at else level.word)
        silent = words("silent" if now.has_siren else "none")
        yield (_RED if level else ""), f"  {sounding if level else silent}"
        if unsure := (words.at and now.siren_unsure_zh) or now.siren_unsure:
            yield from self._plain(unsure, _RED, "  ")
        yield from self._proof()
        yield from self._power()
        yield _BOLD, words("clock")
        synchronized = now.clock.synchronized
        known = "unknown" if synchronized is None else "sync" if synchronized else "unsync"
        yield (_YELLOW if synchronized is False else ""), f"  {words(known)}"
        if now.clock.doubtful:
            yield _RED, f"  {words('doubtful')}"

    def _power(self) -> Lines:
        words, power = self._words, self._now.power
        if power is None:
            return
        yield _BOLD, words("power")
        state = POWER[power.state][words.at]
        said = words("unread", state=state) if power.volts is None else words("volts", state=state, volts=power.volts)
        yield {"normal": "", "saving": _YELLOW}.get(power.state, _RED), f"  {said}"

    def _proof(self) -> Lines:
        words, siren = self._words, self._siren
        if siren:
            age = words.span((self._now.t - siren["proven"]) / 1000)
            if siren["proven"]:
                yield "", f"  {words('proven', age=age, how=_HOW[siren['how']][words.at])}"
            else:
                yield _YELLOW, f"  {words('unproven')}"
            for key in ("overdue", "fault"):
                fault = (words.at and siren.get(f"{key}_zh")) or siren[key]
                yield from self._plain(fault, _RED, "  ")


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
