"""What the hub says of its own health, in Chinese: its sentences come in English, as the log and /readyz have them."""

from hub.web.patterns import compiled

HEALTH = compiled((
    (r"the hub is starting", "中心正在启动"),
    (r"no connection to the broker: (.*)", "未连接消息服务器：{}"),
    (r"the database has not answered for (.*) s", "数据库已 {} 秒无响应"),
    (r"the database cannot be written: (.*)", "数据库无法写入：{}"),
    (r"the desk is (.*) s behind", "预警处理滞后 {} 秒"),
    (r"the desk has not ticked for (.*) s", "预警计时已停 {} 秒"),
    (r"the desk has not moved for (.*) s", "预警处理已停滞 {} 秒"),
    (r"landing has not moved for (.*) s", "数据接收已停滞 {} 秒"),
    (r"the hub has not looked at itself for (.*) s", "中心已 {} 秒未自检"),
    (r"the store is (.*) s behind", "数据写入存储滞后 {} 秒"),
    (r"10 min, 1 h and 1 day of readings are not made: (.*); see `tocsin hub setup`",
     "10 分钟、1 小时和 1 天的统计未生成：{}；请运行 `tocsin hub setup`"),
    (r"(.*) MB are free on the disk of (.*)", "{1} 所在磁盘仅剩 {0} MB"),
    (r"failed lately: (.*)", "近期发生故障：{}"),
    (r"the group rules in force stay: (.*)", "继续使用现行组合规则：{}"),
    (r"group rules name what is not a station of this hub: (.*) and (\d+) more",
     "组合规则中有非本中心的监测站：{} 等，另有 {} 个"),
    (r"group rules name what is not a station of this hub: (.*)", "组合规则中有非本中心的监测站：{}"),
    (r"nothing can be landed: (.*)", "数据无法落盘：{}"),
    (r"readings wait at their stations: (.*) MB are free, landing wants (.*) MB",
     "测量数据在各站等待：磁盘仅剩 {} MB，落盘需要 {} MB"),
    (r"set aside by a defect of the hub: (.*) records; each start tries them again",
     "因中心程序缺陷无法处理而搁置的记录：{} 条；中心每次启动时会重试"),
    (r"the nightly backup has not ended for (.*) h \(last good one: never\)", "夜间备份已 {} 小时未结束（从未成功）"),
    (r"the nightly backup has not ended for (.*) h \(last good one: (.*)\)",
     "夜间备份已 {} 小时未结束（上次成功：{}）"),
    (r"the nightly backup failed: (.*) \(last good one: never\)", "夜间备份失败：{}（从未成功）"),
    (r"the nightly backup failed: (.*) \(last good one: (.*)\)", "夜间备份失败：{}（上次成功：{}）"),
))
