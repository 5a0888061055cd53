"""`tocsin COMMAND`: a table of commands and the modules that own them, imported only when asked for."""

import importlib
import os
import select
import sys

from tocsin import __version__

COMMANDS = {
    "edge": ("edge.command", "run the agent of a station"),
    "operate": ("edge.operate", "at a station that runs: acknowledge, clear, shelve, service mode, reload the rules"),
    "probe": ("edge.probe", "say what answers on a bus"),
    "status": ("edge.status", "how a station is: what is polled, how fresh, levels, faults, backlog"),
    "service": ("edge.service", "work at a station that runs: service mode, calibration, commissioning"),
    "siren-off": ("edge.siren_off", "switch a station's siren off while its agent does not run"),
    "hub": ("hub.command", "run the hub"),
    "watch-hub": ("hub.watch_command", "on another machine: call somebody when the hub stops"),
    "send": ("hub.send", "at the hub: send a station rules or a command, and hear its answer"),
    "export": ("hub.export", "at the hub: readings of its store into CSV or Parquet"),
    "import": ("hub.importing", "at the hub: records into its store"),
    "enrol": ("hub.enrol", "at the hub: make a new station's keys and files, or those of a dead one's successor"),
    "simulate": ("simulators.command", "play instruments on real wires"),
    "demo": ("simulators.demo", "the whole journey on this machine: a storm in a minute"),
    "keys": ("tocsin.keys", "make a key for a station or a hub"),
    "replay": ("thresholds.replay.command", "say what rules would have decided over records"),
    "tune": ("thresholds.tune.command", "choose thresholds over records, and score them against events"),
    "rules": ("thresholds.starter_command", "list and show the starter sets of rules"),
    "check": ("tocsin.check", "say what is wrong with configuration and rules files"),
    "dashboards": ("dashboards.command", "build or push the Grafana dashboards"),
}


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 it did not work, 2 the command line is off."""
    words = sys.argv[1:] if argv is None else argv
    if not words or words[0] in {"-h", "--help"}:
        print(_usage())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"tocsin {__version__}")
        return 0
    if words[0] not in COMMANDS:
        print(f'tocsin: "{words[0]}" is not a command; use {", ".join(COMMANDS)}', file=sys.stderr)
        return 2
    module = importlib.import_module(COMMANDS[words[0]][0])
    try:
        code: int = module.run(words[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        if not _nobody_reads():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)    # the interpreter's own flush at the end would complain
        return 1
    return code


def _nobody_reads() -> bool:
    """Whether who read what a command says has gone, as `| head` does."""
    look = select.poll()
    look.register(1, 0)
    return any(what & select.POLLERR for _, what in look.poll(0))


def _usage() -> str:
    lines = [f"  {name:<12}{words}" for name, (_, words) in COMMANDS.items()]
    return "\n".join(["usage: tocsin COMMAND ...", "", *lines, "", "tocsin COMMAND --help tells more"])


if __name__ == "__main__":
    sys.exit(main())
