"""`tocsin keys station` and `tocsin keys hub`: new keys as lines to paste. Nothing is stored."""

import argparse

from tocsin.signing import new_signing_key, new_station_key

KINDS = ("station", "hub")


def run(argv: list[str]) -> int:
    """Prints TOML. Exit code: 0 done, 2 the command line is off."""
    parser = argparse.ArgumentParser(prog="tocsin keys", description="Make new keys. Nothing is stored.")
    parser.add_argument("kind", choices=KINDS, help="station: the key that a station and its hub share; "
                        "hub: the key with which a hub signs")
    print(_lines(parser.parse_args(argv).kind))
    return 0


def _lines(kind: str) -> str:
    if kind == "station":
        return f'key = "{new_station_key()}"'
    private, public = new_signing_key()
    return f'private_key = "{private}"\n# the public key, for whoever checks its bulletins: {public}'
