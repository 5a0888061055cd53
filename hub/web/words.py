"""The words of the pages in English and Chinese, and which of the two a reader wants."""

import re
from typing import Literal, get_args

from hub.model import Tier, Why
from hub.web import words_held
from hub.web.view import HOW_OFFICER, HOW_PAGE
from hub.web.words_health import in_chinese
from tocsin.health_words import FAULT, POWER, REASON_ZH
from tocsin.levels import Hazard, Level, Stage
from tocsin.messages import BulletinKind
from tocsin.quantities import QUANTITIES
from tocsin.readings import Quality, Reason

Lang = Literal["en", "zh"]
LANGS: tuple[Lang, ...] = get_args(Lang)

_TABLE: dict[str, tuple[str, str]] = {
    "console": ("duty desk", "值班台"),
    "open_warnings": ("Open warnings", "当前预警"),
    "all_calm": ("No open warning.", "当前没有预警。"),
    "stations": ("Stations", "监测站"),
    "all_stations": ("All stations", "全部监测站"),
    "stations_shown": (
        "{shown} of {count} stations, those first that need a look.",
        "共 {count} 个监测站，优先显示需要关注的 {shown} 个。",
    ),
    "first_page": ("first page", "第一页"),
    "next_page": ("next page", "下一页"),
    "none_behind": ("No more stations.", "没有更多监测站。"),
    "recent_warnings": ("Past warnings", "历史预警"),
    "none_yet": ("None yet.", "暂无。"),
    "state": ("State", "状态"),
    "newest": ("Newest value", "最新数值"),
    "heard": ("heard", "最近联系"),
    "ago_of": ("{length} ago", "{length}前"),
    "since": ("since", "自"),
    "for_length": ("for {length}", "已 {length}"),
    "as_of": ("as of", "截至"),
    "lost": (
        "The connection to the hub is lost: this page may be old.",
        "与中心的连接已中断：本页内容可能已过时。",
    ),
    "warning_of": ("{level} {hazard} warning", "{hazard}{level}预警"),
    "hazard_warning": ("{hazard} warning", "{hazard}预警"),
    "technical_of": ("{level} technical alarm", "{level}技术告警"),
    "technical_alarm": ("technical alarm", "技术告警"),
    "technical": ("calls those on duty; the village is told nothing", "仅呼叫值班人员，不向村庄发布"),
    "shelved": ("shelved at the station", "站上已搁置"),
    "shelved_only": ("shelved at the station; nobody is called", "站上已搁置，未呼叫"),
    "groups": ("Rules over several stations", "组合规则"),
    "group_rule": ("rule over several stations", "组合规则"),
    "group_shadow": ("shadow: calls nobody", "试运行，不呼叫"),
    "group_rebuilt": ("found afterwards from late history; nobody was called", "事后补算，未呼叫"),
    "member_silent": ("silent", "失联"),
    "step": ("step {number}", "第 {number} 步"),
    "episodes": ("What was measured", "监测情况"),
    "threshold": ("threshold", "阈值"),
    "in_hours": ("in {hours} h", "{hours} 小时内"),
    "in_minutes": ("in {minutes} min", "{minutes} 分钟内"),
    "answered_of": ("{answered} of {asked} answered", "{asked} 人中 {answered} 人已回应"),
    "nobody_asked": ("Nobody has been called.", "尚未呼叫任何人。"),
    "not_answered": ("Not answered", "未回应"),
    "answered": ("Answered", "已回应"),
    "calls": ("Calls", "叫应"),
    "called": ("Called", "呼叫"),
    "times_last": ("{times} ×, last", "{times} 次，最近"),
    "note": ("Note", "备注"),
    "note_hint": ("for instance: woken at the door", "例如：已上门叫醒"),
    "i_have_heard": ("I have heard 我已听到", "我已听到 I have heard"),
    "waits_for_person": (
        "waits for a person's confirmation 等待人工确认",
        "等待人工确认 waits for a person's confirmation",
    ),
    "confirm_asks": (
        "A rule asks to move people and may not do so by itself. Until a person confirms, people are told to prepare "
        "at most. Then everybody is called anew and told to move now.",
        "有规则要求转移人员，但须经人工确认。确认之前，最多通知“准备转移”；确认之后，立即通知转移，并重新呼叫所有人。",
    ),
    "confirm_name": ("Name of the officer who confirms", "确认人（值班员）姓名"),
    "confirm": ("Confirm: move people now 确认：立即转移", "确认：立即转移 Confirm: move people now"),
    "confirmed_by": ("confirmed by {name} at", "由 {name} 人工确认，时间"),
    "confirm_over": ("This warning is over. There is nothing to confirm.", "本次预警已解除，无需确认。"),
    "confirm_none": ("Nothing in this warning waits for a confirmation.", "本次预警没有需要人工确认的内容。"),
    "uncalled": (
        "something stands that nobody is called for 有未呼叫的预警",
        "有未呼叫的预警 something stands that nobody is called for",
    ),
    "uncalled_asks": (
        "It was shelved at the station, or came too late. If a person confirms, it counts like any other: everybody is "
        "called, and told to move where a rule asks for it.",
        "该预警在站上被搁置，或到达太晚。人工确认后按正常预警处理：呼叫所有人；规则要求转移的，立即通知转移。",
    ),
    "call_now": ("Confirm: call people now 确认：立即呼叫", "确认：立即呼叫 Confirm: call people now"),
    "moves_at": ("people are moved, unless a person holds it, at", "若无人叫停将自动转移，时间"),
    "hold_asks": (
        "A rule moves people by itself at this time: then everybody is called anew and told to move now. A person may "
        "hold it until then; held, it waits for one who confirms. Whoever does not want to wait may confirm now.",
        "到时将自动通知立即转移，并重新呼叫所有人。在此之前可以叫停；叫停后须经人工确认才会转移。也可以不等待，立即确认。",
    ),
    "hold_name": ("Name of the officer who holds it", "叫停人（值班员）姓名"),
    "hold": ("Hold: do not move people yet 叫停：暂不转移", "叫停：暂不转移 Hold: do not move people yet"),
    "held_by": ("held by {name} at", "由 {name} 叫停，时间"),
    "hold_none": (
        "Nothing in this warning can be held: people have been told to move, or a person decides anyway.",
        "本次预警没有可叫停的内容：已通知转移，或本来就由人工决定。",
    ),
    "timeline": ("Timeline", "过程记录"),
    "said": ("What was said", "已发布信息"),
    "area": ("area", "区域"),
    "closed": ("Closed", "已解除"),
    "peak": ("highest", "最高"),
    "historic": ("learned of too late; nobody was called", "事后补录，未呼叫"),
    "back": ("Back to the duty desk", "返回值班台"),
    "value": ("Value", "数值"),
    "measured": ("Measured", "测量时间"),
    "series": ("Series", "测项"),
    "good": ("good", "正常"),
    "fresh": ("fresh", "正常"),
    "late": ("late", "迟到"),
    "silent": ("silent", "中断"),
    "unknown": ("unknown", "未知"),
    "offline": ("offline", "离线"),
    "siren": ("siren: {level}", "警报器：{level}"),
    "siren_proven": ("siren proven {at}, {how}", "警报器最近检验：{at}，{how}"),
    "siren_never": ("siren never proven", "警报器从未检验"),
    "siren_overdue": ("siren: proof overdue", "警报器检验逾期"),
    "siren_fault": ("siren fault: {fault}", "警报器故障：{fault}"),
    "proof_line": ("line check", "线路自检"),
    "proof_test": ("audible test", "试鸣"),
    "proof_sounded": ("it sounded", "实际鸣响"),
    "link_sleeps": ("link asleep for up to {length}", "链路休眠，最长 {length}"),
    "backlog": ("{count} records waiting at the station", "站上 {count} 条待传"),
    "traffic": ("link: {today} MB today, {month} MB this month", "流量：今日 {today} MB，本月 {month} MB"),
    "traffic_of": (
        "link: {today} MB today, {month} of {budget} MB this month",
        "流量：今日 {today} MB，本月 {month} MB，预算 {budget} MB",
    ),
    "thinned": (
        "; more than the budget allows: in calm, values every {minutes} min",
        "；超出预算：平时每 {minutes} 分钟上传一次",
    ),
    "not_started": ("enrolled, has not reported yet", "已登记，尚未上报"),
    "no_stations": ("No station is enrolled.", "尚未登记监测站。"),
    "no_data": ("no readings in this time", "此时段无数据"),
    "no_data_bar": ("no reading", "无数据"),
    "hub_not_ready": ("The hub cannot do its work:", "中心无法正常工作："),
    "hub_trouble": ("Please look at the hub:", "请检查中心："),
    "store_down": (
        "The store cannot be reached. Warnings run on, readings are kept on the hub's disk.",
        "数据库无法访问。预警照常运行，数据已保存在中心磁盘上。",
    ),
    "not_in_view": ("above the chart: {limits}", "图外阈值：{limits}"),
    "per_interval": ("{quantity} per {interval}", "{quantity}（每 {interval}）"),
    "over": ("{quantity} in {interval}", "{quantity}（{interval}内）"),
    "desc": (
        "From {start} to {end}: lowest {low}, highest {high}, last {last} {unit}.",
        "{start} 至 {end}：最低 {low}，最高 {high}，最新 {last} {unit}。",
    ),
    "desc_limits": ("Thresholds: {limits}.", "阈值：{limits}。"),
    "range": ("Range", "时段"),
    "local_time": ("Times are local, {zone}; UTC stands in each time's title.", "时间为当地时间（{zone}）。"),
    "you": ("To: {person}, {role}", "致：{person}（{role}）"),
    "press": ("Press the button so that we need not call you again.", "请按下按钮，我们就不再重复呼叫您。"),
    "recorded": ("recorded at", "记录时间"),
    "thanks": ("Thank you. Your answer is", "谢谢，您的回应已收到。"),
    "over_now": ("This warning is over. No answer is needed.", "本次预警已解除，无需回应。"),
    "unknown_link": (
        "This answer link is not known. Open the newest message that you received, or call the duty desk.",
        "此回应链接无效。请打开最新收到的信息，或致电值班台。",
    ),
    "orders": ("Rules and commands from the hub", "中心下发的规则和指令"),
    "rules_own": ("the station's own rules are in force", "使用本站自带规则"),
    "rules_version": ("version {version} of the hub's rules is in force", "使用中心规则第 {version} 版"),
    "rules_waits": ("version {version}, sent by {who}, is not yet answered", "第 {version} 版（{who} 下发）尚未应答"),
    "rules_refused": ("version {version} was refused", "第 {version} 版被拒绝"),
    "rules_unheard": ("the station has not said which rules are in force", "站点尚未上报所用规则"),
    "no_commands": ("No command was ever sent.", "尚未下发过指令。"),
    "expires": ("runs out", "有效期至"),
    "command_waits": ("not yet sent", "待发送"),
    "command_sent": ("sent, no answer yet", "已发送，未应答"),
    "command_done": ("done", "已执行"),
    "command_refused": ("refused", "被拒绝"),
    "command_expired": ("ran out without an answer", "过期未应答"),
    "api": ("Data for programs", "数据接口"),
    "api_about": (
        "Everything is read with GET and comes as JSON. Times are milliseconds since 1970 UTC, null is never.",
        "全部用 GET 读取，返回 JSON。时间为 1970 年以来的毫秒数（UTC），null 表示从未。",
    ),
    "api_open": (
        "No token is needed: whoever reaches this page may read.", "无需令牌：能打开本页者均可读取。"
    ),
    "api_token": (
        "A token is needed, in the header Authorization: Bearer TOKEN.",
        "需要令牌，请求头为 Authorization: Bearer TOKEN。",
    ),
    "api_wrong": (
        "What is wrong with a request is answered in English and Chinese: which parameter, its value, what is allowed.",
        "请求有误时，以中英文说明：哪个参数、其值、允许的值。",
    ),
    "api_required": ("required", "必填"),
    "api_default": ("{value} unless given", "默认 {value}"),
    "problem": ("This does not work", "无法完成"),
    "language": ("Language", "语言"),
    "exercise": ("EXERCISE", "演练"),
    "test": ("TEST", "测试"),
} | words_held.TABLE

_WHY_ZH = {
    Why.FIRST: "首次监测到",
    Why.HIGHER: "级别升高",
    Why.LOWER: "级别降低",
    Why.JOINED: "其他规则或站点加入",
    Why.CLEARED: "全部恢复正常",
    Why.REPEAT: "尚未回应，再次呼叫",
    Why.ESCALATED: "最后一次呼叫仍未回应，上报上一级",
    Why.ANSWERED: "已回应",
    Why.CONFIRMED: "人工确认",
    Why.HELD: "人工叫停，等待确认",
    Why.UNHELD: "限时内无人叫停",
    Why.RENEWED: "仍然有效，再次发布",
    Why.FAILED: "渠道拒绝发送",
    Why.HISTORIC: "到达时已过时，仅记录，不呼叫",
    Why.SHELVED: "站上已搁置，仅显示，不呼叫",
    Why.UNCHANGED: "无需告知的变化",
}
_TIER_ZH = {Tier.HOUSEHOLD: "户", Tier.VILLAGE: "村", Tier.TOWN: "乡镇", Tier.COUNTY: "县"}
_KIND_ZH = {BulletinKind.ALERT: "发布", BulletinKind.UPDATE: "更新", BulletinKind.CLOSE: "解除"}
_HOW_ZH = {HOW_PAGE: "网页回应", HOW_OFFICER: "值班员登记"}
_QUALITY_ZH = {
    Quality.MISSING: "缺测",
    Quality.RANGE: "超限",
    Quality.SPIKE_HELD: "突跳待核",
    Quality.STUCK: "卡滞",
    Quality.LATE: "迟到",
    Quality.STALE: "过期",
    Quality.CLOCK: "时钟存疑",
    Quality.SERVICE: "维护中",
}


class Words:
    """One language's words: `words("since")`, `words("recorded", time=...)`."""

    def __init__(self, lang: Lang) -> None:
        self.lang = lang
        self._at = LANGS.index(lang)

    def __call__(self, key: str, **values: object) -> str:
        return _TABLE[key][self._at].format(**values)

    def both(self, english: str, chinese: str) -> str:
        """Whichever is this reader's; the other where it is empty."""
        return (chinese or english) if self.lang == "zh" else (english or chinese)

    def level(self, level: int) -> str:
        return self.both(Level(level).word, Level(level).zh)

    def hazard(self, hazard: Hazard) -> str:
        return self.both(hazard.en, hazard.zh)

    def stage(self, stage: Stage) -> str:
        return self.both(stage.en, stage.zh)

    def quantity(self, name: str) -> str:
        known = QUANTITIES.get(name)
        return self.both(known.en, known.zh) if known else name

    def why(self, why: Why) -> str:
        return self.both(why.value, _WHY_ZH[why])

    def tier(self, tier: Tier) -> str:
        return self.both(tier.value, _TIER_ZH[tier])

    def kind(self, kind: BulletinKind) -> str:
        return self.both(kind.value, _KIND_ZH[kind])

    def how(self, how: str) -> str:
        return self.both(how, _HOW_ZH.get(how, how))

    def proof(self, how: str) -> str:
        """How a siren was proven; the station's own word where this side knows no better."""
        known = {"line": self("proof_line"), "test": self("proof_test"), "sounded": self("proof_sounded")}
        return known.get(how, how)

    def fault(self, fault: str) -> str:
        """A reason of refusal, or the station's own sentence as it came."""
        return self.both(fault, REASON_ZH[Reason(fault)]) if fault in set(Reason) else fault

    def ill(self, fault: str) -> str:
        """A Fault of the station itself; one that this hub does not know yet as it came."""
        return self.both(*FAULT.get(fault, (fault, fault)))

    def power(self, state: str) -> str:
        """The state of a station's battery."""
        return self.both(*POWER.get(state, (state, state)))

    def health(self, sentence: str) -> str:
        """What the hub says of itself."""
        return self.both(sentence, in_chinese(sentence))

    def quality(self, bits: int) -> str:
        if not bits:
            return self("good")
        known = [bit for bit in Quality if bits & bit]
        said = [self.both((bit.name or "").lower().replace("_", " "), _QUALITY_ZH[bit]) for bit in known]
        rest = bits & ~sum(known)
        return ", ".join([*said, *([f"{rest:#x}"] if rest else [])])

    def interval(self, ms: int) -> str:
        """A length as in `3 h` or `10 min`."""
        minutes = ms / 60_000
        if minutes >= 60 and minutes % 60 == 0:
            return f"{minutes / 60:g} {self.both('h', '小时')}"
        return f"{minutes:g} {self.both('min', '分钟')}"


def unit_of(quantity: str) -> str:
    return QUANTITIES[quantity].unit if quantity in QUANTITIES else ""


def number(value: float, unit: str) -> str:
    """To the centimetre where the unit is m, else to a tenth; large ones whole."""
    if abs(value) >= 1e9:
        return f"{value:.3g}"
    if abs(value) >= 10_000:
        return f"{value:.0f}"
    return f"{value:.2f}" if unit == "m" else f"{value:.1f}"


def preferred(accept_language: str) -> Lang:
    """The first language of an Accept-Language header that we have, by its q; English else."""
    wishes: list[tuple[float, int, Lang]] = []
    for place, part in enumerate(accept_language.split(",")):
        matched = re.fullmatch(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]*)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*", part)
        lang = next((lang for lang in LANGS if matched and lang == matched[1].lower()), None)
        if matched and lang and float(matched[2] or 1) > 0:
            wishes.append((-float(matched[2] or 1), place, lang))
    return min(wishes)[2] if wishes else "en"


