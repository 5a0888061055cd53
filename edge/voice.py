"""`python -m edge.voice LANGUAGE WORDS_PER_MIN`: text in, spoken WAV out, by espeak-ng. A process of its own, because
the tables of pinyin take more memory than the whole agent, and because what hangs can be killed.

Chinese goes as pinyin to the voice `cmn-latn-pinyin` (the voice `cmn` reads many characters by English rules), and
with numbers as words, since that voice drops the point of "5.5".
"""

import re
import struct
import subprocess
import sys

_VOICES = {"zh": "cmn-latn-pinyin", "en": "en"}
_DIGITS = "零一二三四五六七八九"
_TENS = ((1000, "千"), (100, "百"), (10, "十"))
_MARKS = str.maketrans("，。！？：；、", ",.!?:;,")
_NUMBER = re.compile(r"(?<![\d.])(\d{1,8})(?:\.(\d+))?(?![\d.])")


class VoiceError(Exception):
    """Why there is no sound, in a sentence."""


def in_hanzi(text: str) -> str:
    """Numbers up to eight digits as words: 105.5 is 一百零五点五. Longer ones digit by digit."""
    words = _NUMBER.sub(lambda found: _number(found[1], found[2] or ""), text)
    return re.sub(r"\d", lambda digit: _DIGITS[int(digit[0])], words)


def _number(whole: str, part: str) -> str:
    value = int(whole)
    said = _whole(value) if not whole.startswith("0") or value == 0 else _spelled(whole)
    return f"{said}点{_spelled(part)}" if part else said


def _whole(value: int) -> str:
    if value >= 10_000:
        high, low = divmod(value, 10_000)
        return f"{_whole(high)}万{_below(low, gap=True) if low else ''}"
    return _below(value) or _DIGITS[0]


def _below(value: int, *, gap: bool = False) -> str:
    """Under 10,000; a gap of noughts inside is one 零."""
    said, owes = "", gap and value < 1000
    for size, name in (*_TENS, (1, "")):
        digit, value = divmod(value, size)
        if digit:
            ten = size == 10 and digit == 1 and not said and not owes
            said += ("零" if owes else "") + ("" if ten else _DIGITS[digit]) + name
            owes = False
        elif said and value:
            owes = True
    return said


def _spelled(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)


def pinyin(text: str) -> str:
    """As the voice reads it: syllables with the number of their tone. Raises VoiceError without pypinyin."""
    try:
        from pypinyin import Style, lazy_pinyin
    except ImportError as err:
        raise VoiceError("pypinyin is not installed: pip install '.[edge,speech]' in tocsin's folder") from err
    # the neutral tone has the number 5 in that voice
    return " ".join(lazy_pinyin(in_hanzi(text), style=Style.TONE3, neutral_tone_with_five=True)).translate(_MARKS)


def spoken(text: str, language: str, words_per_min: int) -> bytes:
    """A whole WAV. Raises VoiceError."""
    said = pinyin(text) if language == "zh" else text
    command = ["espeak-ng", "-v", _VOICES[language], "-s", str(words_per_min), "--stdin", "--stdout"]
    try:
        done = subprocess.run(command, input=said.encode(), capture_output=True, check=True)  # noqa: S603
    except FileNotFoundError as err:
        raise VoiceError("espeak-ng is not installed: apt-get install espeak-ng") from err
    except subprocess.CalledProcessError as err:
        raise VoiceError(f"espeak-ng: {err.stderr.decode(errors='replace').strip() or err.returncode}") from err
    return _sized(done.stdout)


def _sized(wav: bytes) -> bytes:
    """espeak-ng writes a stream, whose header does not know how long it is; players and readers want to."""
    at = wav.find(b"data")
    if not wav.startswith(b"RIFF") or at < 0 or len(wav) <= at + 8:
        raise VoiceError("espeak-ng gave no sound")
    whole, samples = struct.pack("<I", len(wav) - 8), struct.pack("<I", len(wav) - at - 8)
    return b"RIFF" + whole + wav[8:at + 4] + samples + wav[at + 8:]


def main(argv: list[str]) -> int:
    """Exit code 0, or 1 with a sentence on the error stream."""
    try:
        sys.stdout.buffer.write(spoken(sys.stdin.buffer.read().decode(), argv[0], int(argv[1])))
    except VoiceError as err:
        print(err, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
