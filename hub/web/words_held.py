"""The words of the page on what intake holds back, in English and Chinese."""

from hub.refusal import Refusal

TABLE: dict[str, tuple[str, str]] = {
    "held": ("Intake: what is held back", "接收：待处理内容"),
    "held_link": ("what is held back", "待处理内容"),
    "strangers": ("Unknown stations", "未登记的监测站"),
    "strangers_wait": ("{count} unknown stations wait for approval", "{count} 个未登记的监测站等待批准"),
    "strangers_say": (
        "They are not answered, so they keep what they measured. To take one in, on the hub's machine: "
        "tocsin hub approve hub.toml STATION",
        "中心不作应答，数据仍保存在站上。批准方法（在中心服务器上）：tocsin hub approve hub.toml 站号",
    ),
    "stranger_counts": ("{messages} messages, {records} records", "{messages} 条消息，{records} 条记录"),
    "first_heard": ("first heard", "首次联系"),
    "no_place": ("it has not said where it stands", "尚未上报位置"),
    "no_strangers": ("No unknown station speaks here.", "没有未登记的监测站。"),
    "clones": ("Copied cards", "存储卡被复制"),
    "clone": (
        "two machines speak under this station's name: its card was copied. Both are kept; last seen",
        "有两台设备使用同一站号：存储卡被复制。两者数据均已保存；最近发现",
    ),
    "no_clones": ("None in the last 24 h.", "24 小时内未发现。"),
    "quarantine": ("Refused", "拒收"),
    "quarantine_none": ("Nothing was refused.", "没有拒收内容。"),
    "whole": ("a whole message, not answered", "整条消息，未应答"),
    "one_record": ("one record, answered", "单条记录，已应答"),
    "disk": ("Disk of the hub", "中心磁盘"),
    "disk_free": ("{free} GB free; {least} GB are kept free for warnings", "可用 {free} GB；为预警保留 {least} GB"),
    "disk_short": (
        "The hub's disk is nearly full: readings wait at their stations, nothing is lost. Warnings and answers still "
        "land. Make room; it goes on by itself.",
        "中心磁盘即将用尽：监测数据暂存在站上，不会丢失；预警和回应照常接收。请清理磁盘，之后自动恢复。",
    ),
    "disk_trouble": (
        "The hub cannot write to its disk: {trouble}. Nothing is answered; stations keep what they have.",
        "中心无法写入磁盘：{trouble}。中心暂不应答，数据保存在站上。",
    ),
}

REFUSAL_ZH = {
    Refusal.TOPIC: "主题不是上行主题",
    Refusal.SIZE: "过大",
    Refusal.FORMAT: "格式错误",
    Refusal.VERSION: "协议版本不同",
    Refusal.STATION: "内部站号与主题不符",
    Refusal.UNKNOWN: "未登记的监测站",
    Refusal.KEY: "密钥已作废",
    Refusal.KIND: "未知记录类型",
    Refusal.ID: "记录编号错误",
    Refusal.TIME: "时间不可能",
    Refusal.VALUE: "数值不可能",
    Refusal.STORE: "数据库拒收",
}
