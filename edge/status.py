"""`tocsin status STATION.toml`: how a station is, asked of its running agent, or of its folder where none runs."""

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from edge.at_hand import station_file
from edge.entries import record_in
from edge.operate import Ask, ask, why_away
from edge.sayings import say
from edge.status_page import page
from edge.survey import StationNow
from edge.thinning import used_bytes
from edge.words import NARROWEST, WIDTH
from tocsin.config import ConfigError
from tocsin.log import first_seq, read_log, segments_of
from tocsin.messages import Readings, Record
from tocsin.said import LANGS, Said, Sayings, joined, language
from tocsin.times import iso

_AGAIN_S = 2.0
_CLEAR = "\x1b[H\x1b[J"
AWAY = {
    "hangs": ("the agent that runs here hangs: it takes words and gives none",
              "此处的终端程序已卡住：能连接但没有回应"),
    "not_asked": ("the agent here cannot be asked: {why}", "无法查询此处的终端程序：{why}"),
    "running": ("no agent runs here: {why}", "此处没有运行中的终端程序：{why}"),
    "last": ("the last record in its folder is number {seq}, {kind}, of {t}", "日志最后一条：第 {seq} 条，{kind}，{t}"),
    "empty": ("its folder {folder} holds no record", "数据目录 {folder} 中没有记录"),
    "damaged": ("damaged files set aside: {names}", "已隔离的损坏文件：{names}"),
    "disk": ("log {size} MB; {free} MB free on the disk", "日志 {size} MB；磁盘剩余 {free} MB"),
    "again": ("start it again: systemctl restart tocsin-edge; its siren sounds on as its log says",
              "请重新启动：systemctl restart tocsin-edge；警报器按日志继续鸣响"),
    "start": ("start it, or see what it says: tocsin edge {place}", "请启动，或查看其提示：tocsin edge {place}"),
}
_AWAY = Sayings(AWAY)


class Away(msgspec.Struct, frozen=True):
    """What the folder of a station tells while no agent answers. `t` is that of the last record, ms UTC.

    `running`: there is one, and it hangs or may not be asked.
    """

    why: str
    folder: str
    seq: int = 0
    kind: str = ""
    t: int = 0
    readings: dict[str, float] = {}
    damaged: list[str] = []
    log_bytes: int = 0
    free_bytes: int = 0
    running: bool = False


def run(argv: list[str]) -> int:
    """Exit code: 0 an agent runs, 1 none does or the file is wrong, 2 the command line is off."""
    args = _parser().parse_args(argv)
    try:
        folder = args.station.parent / station_file(args.station, language(args.lang)).station.data
    except ConfigError as err:
        print(err, file=sys.stderr)
        return 1
    try:
        while True:
            code, text = look(folder, args)
            print(f"{_CLEAR}{text}" if args.watch and sys.stdout.isatty() else text, flush=True)
            if not args.watch:
                return code
            time.sleep(_AGAIN_S)
    except KeyboardInterrupt:
        return 0


def look(folder: Path, args: argparse.Namespace) -> tuple[int, str]:
    """Exit code and text of one look."""
    lang = language(args.lang)
    try:
        reply = ask(folder, Ask("status"))
    except OSError as err:
        why = why_away(err)
        away = folder_tells(folder, why.en, running=isinstance(err, TimeoutError | PermissionError))
        return 1, _json(away) if args.json else _away(away, why, args.station, err).in_(lang)
    try:
        now = msgspec.json.decode(reply.said, type=StationNow) if reply.done else None
    except msgspec.DecodeError as err:
        return 1, say("other_version", why=err).in_(lang)
    if now is None:
        return 1, reply.words.in_(lang)
    return 0, _json(now) if args.json else page(
        now, lang, colour=sys.stdout.isatty(), columns=_columns())


def _columns() -> int:
    """Of the terminal, as far as it is one and between a telephone upright and one laid on its side."""
    return min(WIDTH, max(NARROWEST, shutil.get_terminal_size((WIDTH, 24)).columns))


def folder_tells(folder: Path, why: str, *, running: bool = False) -> Away:
    """Reads the last file of the log; what cannot be read is left out."""
    place = folder / "log"
    try:
        files = sorted(path for path in place.iterdir() if path.is_file())
        free = shutil.disk_usage(folder).free
    except OSError:
        return Away(why, str(folder), running=running)
    last: Record | None = None
    readings: dict[str, float] = {}
    segments = segments_of(place)
    for entry in read_log(place, after=first_seq(segments[-1]) - 1, strict=False) if segments else ():
        last = record_in(entry) or last
        if isinstance(last, Readings):
            readings.update(zip(last.series, last.value, strict=True))
    away = Away(why, str(folder), readings=readings, damaged=[path.name for path in files if "damaged" in path.name],
                log_bytes=used_bytes(place), free_bytes=free, running=running)
    if last is None:
        return away
    t_ms = last.t[0] if isinstance(last, Readings) else last.t
    return msgspec.structs.replace(away, seq=last.seq, kind=type(last).__name__.lower(), t=t_ms)


def _away(away: Away, why: Said, place: Path, err: OSError) -> Said:
    first, last = {TimeoutError: ("hangs", "again"), PermissionError: ("not_asked", "")}.get(
        type(err), ("running", "start"))
    lines: list[Said | str] = [_AWAY(first, why=why)]
    if away.t:
        lines.append(_AWAY("last", seq=away.seq, kind=away.kind, t=iso(away.t)))
        lines += [f"  {key:<28}{value:>14.10g}" for key, value in away.readings.items()]
    else:
        lines.append(_AWAY("empty", folder=away.folder))
    if away.damaged:
        lines.append(_AWAY("damaged", names=", ".join(away.damaged)))
    if away.free_bytes:
        lines.append(_AWAY("disk", size=f"{away.log_bytes / 1e6:.1f}", free=f"{away.free_bytes / 1e6:.0f}"))
    return joined([*lines, *([_AWAY(last, place=place)] if last else [])], "\n", "\n")


def _json(what: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(what), indent=2).decode()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tocsin status", description="How a station is: asked at the station.")
    parser.add_argument("station", type=Path, metavar="STATION.toml")
    parser.add_argument("--json", action="store_true", help="all of it, for programs")
    parser.add_argument("--watch", action="store_true", help="look again every 2 s, until Ctrl-C")
    parser.add_argument("--lang", choices=LANGS, default="", help="else as the terminal's LANG says")
    return parser
