"""The words of the pages in English and Chinese, and which of the two a reader wants."""

import re
from typing import Literal, get_args

from hub.model import Tier, Why
from hub.web.patterns import in_chinese
from hub.web.view import HOW_OFFICER, HOW_PAGE
from hub.web.words_health import HEALTH
from hub.web.words_table import TABLE
from tocsin.health_words import FAULT, POWER, REASON_ZH
from tocsin.levels import Hazard, Level, Stage
from tocsin.messages import BulletinKind
from tocsin.quantities import QUANTITIES
from tocsin.readings import Quality, Reason

Lang = Literal["en", "zh"]
LANGS: tuple[Lang, ...] = get_args(Lang)

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
_HOW_ZH = {HOW_PAGE: "网页回应", HOW_OFFICER: "值班员登记", "button at the siren": "警报器旁按钮"}
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
        return TABLE[key][self._at].format(**values)

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
        return self.both(sentence, in_chinese(sentence, HEALTH))

    def quality(self, bits: int) -> str:
        if not bits:
            return self("good")
        known = [bit for bit in Quality if bits & bit]
        said = [self.both((bit.name or "").lower().replace("_", " "), _QUALITY_ZH[bit]) for bit in known]
        rest = bits & ~sum(known)
        return ", ".join([*said, *([f"{rest:#x}"] if rest else [])])

    def window(self, over_s: int) -> str:
        """As in `in 3 h`; "" where nothing is summed."""
        if not over_s:
            return ""
        if over_s % 3600 == 0:
            return self("in_hours", hours=over_s // 3600)
        return self("in_minutes", minutes=f"{over_s / 60:g}")

    def interval(self, ms: int) -> str:
        """A length as in `3 h` or `10 min`; days where there are several."""
        minutes = ms / 60_000
        if minutes > 1440 and minutes % 1440 == 0:
            return f"{minutes / 1440:g} {self.both('d', '天')}"
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


