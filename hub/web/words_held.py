"""The words of the page on what intake holds back, in English and Chinese."""

from hub.refusal import Refusal
from hub.web.patterns import compiled

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
    "stranger_counts": ("messages: {messages}, records: {records}", "{messages} 条消息，{records} 条记录"),
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
    Refusal.DEFECT: "中心程序缺陷，无法接收",
}

# what hub.checks and hub.contents say, and the words of the library that reads JSON
REFUSED = compiled((
    (r'"(.*)" is not (tocsin/.*)', "“{}” 不是 {}"),
    (r"(\d+) bytes; at most (\d+)", "{} 字节；最多 {} 字节"),
    (r"version (.*); this side speaks (.*)", "版本 {}；本中心使用版本 {}"),
    (r'"(.*)" on the topic of "(.*)"', "消息内为 “{}”，主题为 “{}”"),
    (r'"(.*)" was replaced; this is the machine that it was before', "“{}” 已更换设备；此消息来自更换前的设备"),
    (r'boot "(.*)"; use 16 hex digits', "boot “{}”；应为 16 位十六进制数"),
    (r"seq (.*); use 1 and up", "seq {}；应不小于 1"),
    (r"(.*) ms is not between (.*) and (.*)", "{} 毫秒不在 {} 至 {} 之间"),
    (r"(.*): (.*) is not a finite number", "{}：{} 不是有限数"),
    (r"(.*): (.*); use 0 and up", "{}：{}；应不小于 0"),
    (r"every_s (.*), summary_s (.*); use up to (.*)", "every_s {}，summary_s {}；最多 {}"),
    (r"hold_s (.*); use 0 to (.*)", "hold_s {}；应为 0 至 {}"),
    (r"level (.*); use (.*) to (.*)", "级别 {}；应为 {} 至 {}"),
    (r"series (.*); use device/quantity", "测项 {}；应为 设备/测项"),
    (r'area "(.*)"; use 12 digits', "区划 “{}”；应为 12 位数字"),
    (r"position (.*), (.*); use degrees north and east", "位置 {}，{}；应为北纬和东经度数"),
    (r"not UTF-8: (.*)", "不是 UTF-8 编码：{}"),
    (r"columns (.*) and (.*) differ in length", "各列 {}、{} 长度不同"),
    (r"maximum recursion depth exceeded.*", "嵌套过深"),
    (r"Number out of range(?: - at `(.*)`)?", "数值超出范围（{}）"),
    (r"Input data was truncated", "数据不完整"),
    (r"JSON is malformed: (.*)", "JSON 格式错误：{}"),
    (r"Object missing required field `(.*?)`(?: - at `(.*)`)?", "缺少字段 {}（{}）"),
    (r"Expected `(.*?)`, got `(.*?)`(?: - at `(.*)`)?", "应为 {}，实为 {}（{}）"),
    (r"Invalid value (.*?)(?: - at `(.*)`)?", "无效的值 {}（{}）"),
))
