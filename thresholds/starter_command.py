"""`tocsin rules list` and `tocsin rules show NAME`: rules to begin with, each with its source."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "starters"
GROUPS = Path(__file__).parents[1] / "hub" / "group_starters"    # of the hub's rules over several stations


@dataclass(frozen=True, slots=True)
class Starter:
    """A starter set: its name, what it is in English and Chinese, and the file to copy."""

    name: str
    en: str
    zh: str
    text: str


def starters(folder: Path = FOLDER) -> dict[str, Starter]:
    """All of them by name. The first two lines of a file say what it is, in English and in Chinese."""
    found = {}
    for path in sorted(folder.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        en, zh = (line.removeprefix("# ") for line in text.splitlines()[:2])
        found[path.stem] = Starter(path.stem, en, zh, text)
    return found


def run(argv: list[str]) -> int:
    """Exit code: 0 done, 1 there is no such set, 2 the command line is off."""
    options = _parser().parse_args(argv)
    known = starters() | starters(GROUPS)
    if options.verb == "list":
        width = max(map(len, known))
        print("\n".join(f"{one.name:<{width}}  {one.en}\n{'':<{width}}  {one.zh}" for one in known.values()))
        return 0
    if options.name not in known:
        print(f'tocsin rules: "{options.name}" is not a starter set; use {", ".join(known)}', file=sys.stderr)
        return 1
    sys.stdout.write(known[options.name].text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tocsin rules", description="Rules to begin with, after published tables, each with its source.",
        epilog="tocsin rules show flash_flood_rain > rules.toml")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list | show")
    verbs.add_parser("list", help="the names, and what each is for")
    show = verbs.add_parser("show", help="print one, to be kept in a file and fitted to the site")
    show.add_argument("name", metavar="NAME")
    return parser
