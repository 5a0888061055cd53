"""What is said about a warning at one moment, in English and Chinese: what, where, how bad, what to do, since when.

A loudspeaker reads these texts to people who were asleep: short sentences, the most important first.
"""

from datetime import tzinfo

import msgspec

from hub.evidence import Speech, finding
from hub.model import Episode
from hub.model import Warning as HubWarning
from tocsin.levels import Hazard, Level, Stage
from tocsin.messages import VERSION, Bulletin, BulletinKind
from tocsin.times import utc

_PLACES = 3
_EVIDENCE = 3
_CLOSE_EXPIRES_MS = 3_600_000

_ADVICE_EN = {
    (Hazard.FLOOD, Stage.WATCH): "Keep away from the river and from low ground. Stay awake and listen.",
    (Hazard.FLOOD, Stage.PREPARE): "Pack what you need, wake your neighbours, and be ready to go to the shelter.",
    (Hazard.FLOOD, Stage.MOVE): "Go to the shelter by the agreed path now. Do not cross the water.",
    (Hazard.GAS, Stage.WATCH): "Put out open fire. Keep away from the plant.",
    (Hazard.GAS, Stage.PREPARE): "Put out open fire, switch nothing on or off, and be ready to leave across the wind.",
    (Hazard.GAS, Stage.MOVE): "Leave now, across the wind and uphill. Cover mouth and nose with a wet cloth.",
    (Hazard.TANK, Stage.WATCH): "Keep away from the tank. Put out open fire.",
    (Hazard.TANK, Stage.PREPARE): "Put out open fire, and be ready to leave the surroundings of the tank.",
    (Hazard.TANK, Stage.MOVE): "Leave the surroundings of the tank now, across the wind. No open fire.",
    (Hazard.SLOPE, Stage.WATCH): "Keep away from the slope and from the foot of it. Stay awake and listen.",
    (Hazard.SLOPE, Stage.PREPARE): "Pack what you need, wake your neighbours, and be ready to leave sideways.",
    (Hazard.SLOPE, Stage.MOVE): "Leave the foot of the slope now, sideways, not along the valley.",
}
_ADVICE_ZH = {
    (Hazard.FLOOD, Stage.WATCH): "请远离河道和低洼地带，保持清醒，注意收听。",
    (Hazard.FLOOD, Stage.PREPARE): "请收拾必需物品，叫醒邻居，准备前往安置点。",
    (Hazard.FLOOD, Stage.MOVE): "请立即沿预定路线前往安置点，不要涉水过河。",
    (Hazard.GAS, Stage.WATCH): "请熄灭明火，远离厂区。",
    (Hazard.GAS, Stage.PREPARE): "请熄灭明火，不要开关电器，准备向侧风方向撤离。",
    (Hazard.GAS, Stage.MOVE): "请立即向侧风方向和高处撤离，用湿布捂住口鼻。",
    (Hazard.TANK, Stage.WATCH): "请远离储罐，熄灭明火。",
    (Hazard.TANK, Stage.PREPARE): "请熄灭明火，准备撤离储罐周边。",
    (Hazard.TANK, Stage.MOVE): "请立即向侧风方向撤离储罐周边，严禁明火。",
    (Hazard.SLOPE, Stage.WATCH): "请远离坡体和坡脚，保持清醒，注意收听。",
    (Hazard.SLOPE, Stage.PREPARE): "请收拾必需物品，叫醒邻居，准备向两侧撤离。",
    (Hazard.SLOPE, Stage.MOVE): "请立即离开坡脚，向两侧撤离，不要顺沟跑。",
}
_CLOSED_EN = "The readings are back to normal. Go back only when your officials say so."
_CLOSED_ZH = "监测数值已恢复正常，请听从当地干部安排后再返回。"
_UNITS_ZH = {"mm": "毫米", "m": "米", "kPa": "千帕", "°C": "摄氏度", "V": "伏", "h": "小时", "min": "分钟"}
_STATUS = {"Actual": ("", ""), "Exercise": ("EXERCISE. ", "【演练】"), "Test": ("TEST. ", "【测试】")}


def compose(
    warning: HubWarning,
    kind: BulletinKind,
    *,
    version: int,
    now_ms: int,
    expires_s: float,
    zone: tzinfo,
    status: str = "Actual",
    cause_t: int = 0,
) -> Bulletin:
    """The bulletin about the warning as it now is. `version` must be above every earlier one of the area.

    `cause_t` is the event time of the reading that caused it, 0 where none did; `zone` is for times in the text.
    """
    sent = max([now_ms, *warning.said[-1:]])  # never before a bulletin that it refers to, also when the clock stepped
    episodes = _spoken(warning)
    bulletin = Bulletin(
        v=VERSION,
        id=f"{warning.area}-{version}",
        version=version,
        warning=warning.id,
        area=warning.area,
        kind=kind,
        hazard=warning.hazard,
        level=warning.level,
        stage=warning.stage,
        sent=sent,
        expires=sent + (_CLOSE_EXPIRES_MS if kind is BulletinKind.CLOSE else round(expires_s * 1000)),
        place=_places_en([episode.place or episode.station for episode in episodes]),
        place_zh=_places_zh([episode.place_zh or episode.place or episode.station for episode in episodes]),
        text_en="",
        text_zh="",
        references=list(warning.bulletins),
        cause_t=cause_t,
    )
    return _with_texts(bulletin, episodes, zone, status)


def headline_en(bulletin: Bulletin) -> str:
    if bulletin.kind is BulletinKind.CLOSE:
        return f"{bulletin.hazard.en.capitalize()} warning is over: {bulletin.place}"
    update = " (update)" if bulletin.kind is BulletinKind.UPDATE else ""
    return f"{Level(bulletin.level).name} {bulletin.hazard.en} warning{update}: {bulletin.place}"


def headline_zh(bulletin: Bulletin) -> str:
    if bulletin.kind is BulletinKind.CLOSE:
        return f"{bulletin.place_zh}{bulletin.hazard.zh}预警解除"
    update = "（更新）" if bulletin.kind is BulletinKind.UPDATE else ""
    return f"{bulletin.place_zh}{bulletin.hazard.zh}{Level(bulletin.level).zh}预警{update}"


def instruction_en(bulletin: Bulletin) -> str:
    if bulletin.kind is BulletinKind.CLOSE:
        return _CLOSED_EN
    return f"{bulletin.stage.en.capitalize()}. {_ADVICE_EN[bulletin.hazard, bulletin.stage]}"


def instruction_zh(bulletin: Bulletin) -> str:
    if bulletin.kind is BulletinKind.CLOSE:
        return _CLOSED_ZH
    return f"{bulletin.stage.zh}。{_ADVICE_ZH[bulletin.hazard, bulletin.stage]}"


def _with_texts(bulletin: Bulletin, episodes: list[Episode], zone: tzinfo, status: str) -> Bulletin:
    raised = [episode for episode in episodes if episode.level > 0][:_EVIDENCE]
    several = len({episode.station for episode in raised}) > 1
    prefix_en, prefix_zh = _STATUS[status]
    evidence_en = "".join(f" {_evidence_en(episode, bulletin.hazard, zone, several)}." for episode in raised)
    evidence_zh = "".join(f"{_evidence_zh(episode, bulletin.hazard, zone, several)}。" for episode in raised)
    return msgspec.structs.replace(
        bulletin,
        text_en=f"{prefix_en}{headline_en(bulletin)}. {instruction_en(bulletin)}{evidence_en}",
        text_zh=f"{prefix_zh}{headline_zh(bulletin)}。{instruction_zh(bulletin)}{evidence_zh}",
    )


def _spoken(warning: HubWarning) -> list[Episode]:
    """The episodes that a bulletin speaks of, worst first: what is raised now, or at the close all that was."""
    episodes = list(warning.episodes.values())
    live = [episode for episode in episodes if episode.counted or not (episode.historic or episode.shelved)] or episodes
    raised = [episode for episode in live if episode.level > 0] or live
    return sorted(raised, key=lambda episode: (-episode.level, episode.since, episode.station, episode.rule))


def _places_en(names: list[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - _PLACES} more" if len(unique) > _PLACES else ""
    return ", ".join(unique[:_PLACES]) + more


def _places_zh(names: list[str]) -> str:
    unique = list(dict.fromkeys(names))
    more = f"等{len(unique)}处" if len(unique) > _PLACES else ""
    return "、".join(unique[:_PLACES]) + more


def _evidence_en(episode: Episode, hazard: Hazard, zone: tzinfo, several: bool) -> str:
    found = finding(episode, hazard, _ENGLISH)
    place = f"{episode.place or episode.station}: " if several else ""
    over = f" in {_duration(found.over_s, ' h', ' min', ' s')}" if found.over_s else ""
    since = utc(episode.since).astimezone(zone)
    what = f"{place}{found.what} {found.value}{over}, threshold {found.threshold}"
    return f"{what[0].upper()}{what[1:]}, since {since:%H:%M} on {since.day} {since:%b}"


def _evidence_zh(episode: Episode, hazard: Hazard, zone: tzinfo, several: bool) -> str:
    found = finding(episode, hazard, _CHINESE)
    place = f"{episode.place_zh or episode.place or episode.station}：" if several else ""
    over = f"{_duration(found.over_s, '小时', '分钟', '秒')}内" if found.over_s else ""
    since = utc(episode.since).astimezone(zone)
    what = f"{place}{over}{found.what}{found.value}，阈值{found.threshold}"
    return f"{what}，自{since.month}月{since.day}日{since:%H:%M}起"


def _duration(seconds: int, hours: str, minutes: str, rest: str) -> str:
    if seconds % 3600 == 0:
        return f"{seconds // 3600}{hours}"
    return f"{seconds // 60}{minutes}" if seconds % 60 == 0 else f"{seconds}{rest}"


def _number(value: float, _unit: str) -> str:
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


_ENGLISH = Speech(False, _number, {})
_CHINESE = Speech(True, _number, _UNITS_ZH, gap="")
