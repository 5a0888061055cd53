"""What was wrong with the files of a log, in English and Chinese."""

from tocsin.said import Sayings

TABLE = {
    "unopened": ("{name}: cannot be opened: {why}; record {seq} comes next",
                 "{name}：无法打开：{why}；下一条记录为 {seq}"),
    "early_unread": ("records that waited in memory for the disk cannot be read: {why}",
                     "在内存中等待落盘的记录无法读取：{why}"),
    "early_unwritten": ("{count} records that waited in memory cannot be written: {why}",
                        "在内存中等待落盘的 {count} 条记录无法写入：{why}"),
    "cursor": ("cursor: cannot be read: {why}; the hub is offered everything again",
               "cursor：无法读取：{why}；全部记录将重新上传中心"),
    "torn": ("{name}: {count} bytes of a torn record cut off", "{name}：已截去残缺记录的 {count} 字节"),
    "not_aside": ("{name}: damaged; {count} good records kept; it cannot be set aside: {why}",
                  "{name}：文件损坏；保留完好记录 {count} 条；原文件无法另存：{why}"),
    "aside": ("{name}: damaged; {count} good records kept, set aside as {aside}",
              "{name}：文件损坏；保留完好记录 {count} 条，原文件另存为 {aside}"),
    "unread": ("{name}: cannot be read: {why}", "{name}：无法读取：{why}"),
    "unread_or_damaged": ("{name}: damaged, or cannot be read", "{name}：文件损坏或无法读取"),
    "left_out": ("{count} records that cannot be read are left out; {first}",
                 "{count} 条记录无法读取，已略去；{first}"),
}
say = Sayings(TABLE)
