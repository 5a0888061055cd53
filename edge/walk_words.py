"""What `tocsin service --commission` says, in English and Chinese."""

TABLE = {
    "hello": ("Commissioning {name} ({station}). Empty answer: skip a step.",
              "验收 {name}（{station}）。直接回车可跳过某一步。"),
    "go_on": ("A walk by {who} of {t} is not finished; proved: {done}. Going on with it.",
              "{who} 于 {t} 的验收尚未完成；已通过：{done}。继续进行。"),
    "step": ("--- {number} of {all}: {step}", "--- 第 {number} 步，共 {all} 步：{step}"),
    "probe": ("every device answers", "所有设备应答"),
    "rain": ("10 tips are 10 counted", "翻斗 10 次计数 10 次"),
    "staff": ("staff gauge", "水尺校核"),
    "siren": ("siren", "警报器"),
    "echo": ("echo of the hub", "中心回执"),
    "proved": ("    proved: {detail}", "    通过：{detail}"),
    "not": ("    NOT PROVED: {detail}", "    未通过：{detail}"),
    "none": ("    none here", "    本站无此项"),
    "answers": ("    {series}: {value} {unit}", "    {series}：{value} {unit}"),
    "dead": ("    {series}: NO GOOD READING {fault}", "    {series}：无有效读数 {fault}"),
    "again": ("    try again? [y/N] ", "    重试？[y/N] "),
    "tip": ("    {series} is in service, {mm:g} mm a tip. Tip the bucket 10 times, then type y: ",
            "    {series} 已进入检修，每斗 {mm:g} 毫米。请翻动 10 次，然后输入 y："),
    "wait": ("    waiting for the next reading of {series} (every {every:g} s) ...",
             "    等待 {series} 下一次读数（每 {every:g} 秒）……"),
    "read": ("    {series} is in service and shows {value:.3f} m. The staff gauge reads (m): ",
             "    {series} 已进入检修，显示 {value:.3f} 米。水尺读数（米）："),
    "number": ('    "{text}" is not a number; like 1.25', "    “{text}”不是数字；例如 1.25"),
    "offset": ("    shown {shown:.3f} m, staff {staff:.3f} m: offset {old:g} -> {new:g}\n"
               "    in station.toml this would be: offset = {new:g}\n    put it in force now? [y/N] ",
               "    显示 {shown:.3f} 米，水尺 {staff:.3f} 米：offset {old:g} -> {new:g}\n"
               "    相当于 station.toml 中：offset = {new:g}\n    立即生效？[y/N] "),
    "sound": ("    The siren will sound. Tell the people near it, then type y: ",
              "    警报器即将鸣响。请先告知附近人员，然后输入 y："),
    "heard": ("    did you hear it? [y/N] ", "    是否听到？[y/N] "),
    "asking": ("    asking the hub ...", "    正在询问中心……"),
    "broken": ("broken off; missing: {missing}. Call it again to go on.", "已中断；尚缺：{missing}。再次运行可继续。"),
    "missing": ("NOT PROVED: {missing}. Call it again to go on.", "未通过：{missing}。再次运行可继续。"),
    "sheet": ("sealed sheet: {place}", "已签封的验收单：{place}"),
}
YES = {"y", "yes", "j", "是", "好", "对"}
