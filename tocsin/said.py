"""A sentence for people, in English and in Chinese at once: who hears it chooses, and records carry both."""

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LANGS = ("en", "zh")
_SYSTEM_ZH = {
    errno.ENOSPC: "磁盘已满", errno.EDQUOT: "超出磁盘配额", errno.EIO: "磁盘读写出错", errno.EROFS: "文件系统只读",
    errno.EACCES: "没有权限", errno.EPERM: "没有权限", errno.ENOENT: "文件或目录不存在", errno.EISDIR: "是目录",
    errno.ENOTDIR: "不是目录", errno.ENODEV: "设备不存在", errno.ENXIO: "设备不存在", errno.EMFILE: "打开的文件过多",
    errno.ENFILE: "打开的文件过多", errno.ENOMEM: "内存不足", errno.EBUSY: "正被占用", errno.ECONNREFUSED: "连接被拒绝",
    errno.ETIMEDOUT: "连接超时", errno.EHOSTUNREACH: "目标不可达", errno.ENETUNREACH: "网络不可达",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """In both languages. As a `str` it is English, as in the journal of a program."""

    en: str
    zh: str

    def __str__(self) -> str:
        return self.en

    def in_(self, lang: str) -> str:
        """`lang` is one of LANGS."""
        return self.zh if lang == "zh" else self.en

    @property
    def own_zh(self) -> str:
        """The Chinese as records hold it: "" where it is the same."""
        return "" if self.zh == self.en else self.zh


class SaidError(ValueError):
    """Why something is refused."""

    def __init__(self, said: Said) -> None:
        super().__init__(said)
        self.said = said


class Sayings:
    """Sentences by their keys: `say("silenced", who=..., minutes=5)`.

    What is put in may know itself in both languages (`en`, `zh`): another sentence, a level, a stage.
    """

    def __init__(self, table: Mapping[str, tuple[str, str]]) -> None:
        self._table = table

    def __call__(self, key: str, /, **values: object) -> Said:
        en, zh = self._table[key]
        return Said(_filled(en, "en", values), _filled(zh, "zh", values))


def _filled(text: str, lang: str, values: Mapping[str, object]) -> str:
    return text.format(**{key: getattr(value, lang, value) for key, value in values.items()})


def joined(parts: Iterable[Said | str], en: str = "; ", zh: str = "；") -> Said:
    """One sentence behind the other. What is no Said is the same in both languages."""
    both = [part if isinstance(part, Said) else Said(part, part) for part in parts]
    return Said(en.join(part.en for part in both), zh.join(part.zh for part in both))


def cut(said: Said, most: int) -> Said:
    """Each language's first characters."""
    return Said(said.en[:most], said.zh[:most])


def said_of(err: BaseException) -> Said:
    """What an error says. Of one that knows one language alone (a file's syntax) both are the same; that of the system
    is in words alone, for its number says nothing to people."""
    for one in (err, err.__cause__):     # msgspec puts an error of its own around what a Struct refuses
        if isinstance(one, SaidError):
            return one.said
    if isinstance(err, OSError) and err.strerror:
        why = reason_of(err)
        return Said(f"{why.en} ({err.filename})", f"{why.zh}（{err.filename}）") if err.filename else why
    return Said(str(err), str(err))


def reason_of(err: OSError) -> Said:
    """What the system says, without the file's name."""
    words = err.strerror or str(err)
    return Said(words, _SYSTEM_ZH.get(err.errno or 0, words))


def language(asked: str, environ: Mapping[str, str] = os.environ) -> str:
    """What was asked for, else what the terminal's user speaks."""
    spoken = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return asked or ("zh" if spoken.startswith("zh") else "en")
