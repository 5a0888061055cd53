"""`tocsin hub backup hub.toml FOLDER` and `tocsin hub restore ARCHIVE FOLDER`"""

import argparse
import sys
from pathlib import Path

from hub.backup import BackupError, make
from hub.config import load_hub
from hub.restore import restore, verify
from tocsin.clock import SystemClock
from tocsin.config import ConfigError
from tocsin.times import iso


def backup_main(argv: list[str]) -> int:
    """Exit code: 0 done, 1 it did not work."""
    parser = argparse.ArgumentParser(
        prog="tocsin hub backup", description="One archive of a hub's files, while it runs. It holds private keys.")
    parser.add_argument("file", type=Path, help="the hub's configuration file")
    parser.add_argument("folder", type=Path, nargs="?", help="where to; [backup] folder of the file unless given")
    args = parser.parse_args(argv)
    try:
        config = load_hub(args.file)
        path = make(config, args.file, args.folder or Path(config.backup.folder), SystemClock().now_ms())
    except (ConfigError, BackupError) as err:
        print(err, file=sys.stderr)
        return 1
    print(path)
    return 0


def restore_main(argv: list[str]) -> int:
    """Exit code: 0 done, 1 it did not work."""
    parser = argparse.ArgumentParser(
        prog="tocsin hub restore", description="Put a backup of a hub into a new folder, every file checked.")
    parser.add_argument("archive", type=Path, help="tocsin-hub-<time>.tar.gz")
    parser.add_argument("folder", type=Path, nargs="?", help="a new folder; without one the archive is only checked")
    args = parser.parse_args(argv)
    try:
        to_do = restore(args.archive, args.folder) if args.folder else []
        manifest = verify(args.archive)
    except BackupError as err:
        print(err, file=sys.stderr)
        return 1
    size = sum(entry.size for entry in manifest.files)
    print(f"{manifest.name}, {iso(manifest.made)}: {len(manifest.files)} files, {size >> 20} MB, all whole")
    print("\n".join(to_do or ([f"start it with: tocsin hub {args.folder / 'hub.toml'}"] if args.folder else [])))
    return 0
