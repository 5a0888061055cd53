"""What can be wrong with a station and its devices, and what its battery makes it do, in English and Chinese."""

from tocsin.faults import Fault
from tocsin.readings import Reason

FAULT: dict[str, tuple[str, str]] = {
    Fault.SENSOR: ("sensor", "传感器"),
    Fault.BUS: ("bus", "总线"),
    Fault.DISK: ("disk", "存储"),
    Fault.CLOCK: ("clock", "时钟"),
    Fault.DRIFT: ("clock against the hub", "时钟与中心不一致"),
    Fault.BATTERY: ("battery", "蓄电池"),
    Fault.HEAT: ("temperature", "温度"),
    Fault.LINK: ("link", "通信"),
    Fault.CONFIG: ("station file", "配置文件"),
}
POWER: dict[str, tuple[str, str]] = {
    "normal": ("power is normal", "供电正常"),
    "saving": ("saving power", "节电运行"),
    "critical": ("power is critical", "电量告急"),
    "off": ("stopped until the battery has recovered", "电量耗尽，停机等待恢复"),
}
REASON_ZH: dict[str, str] = {
    Reason.SILENT: "无应答",
    Reason.EXCEPTION: "设备返回异常",
    Reason.CHECKSUM: "校验错误",
    Reason.FOREIGN: "他站应答",
    Reason.FORMAT: "格式错误",
    Reason.STATUS: "设备自报异常",
    Reason.RANGE: "超出量程",
    Reason.IMPLAUSIBLE: "数值不合理",
    Reason.LINK: "线路断开",
}


def fault_zh(fault: str) -> str:
    """What a device's heartbeat says is wrong with it, with its reasons in Chinese and their details as they are."""
    parts = [text.partition(": ") for text in fault.split("; ")]
    return "; ".join(f"{REASON_ZH.get(reason, reason)}{colon}{detail}" for reason, colon, detail in parts)
