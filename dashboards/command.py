"""`tocsin dashboards build | push`."""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from dashboards import provision, station
from dashboards.provision import Grafana, ProvisionError, Source

TOKEN_FROM = "GRAFANA_TOKEN"  # noqa: S105 - the variable's name, not the token


def run(argv: list[str]) -> int:
    """0 when done, 1 when not, with the reason on stderr; 2 for a wrong command line (SystemExit)."""
    options = _parser().parse_args(argv)
    try:
        cards = provision.read_stations(options.stations) if options.stations else {}
        made = station.build(cards, options.datasource)
        done = _build(options, made) if options.verb == "build" else _push(options, made)
    except ProvisionError as err:
        sys.stderr.write(f"{err}\n")
        return 1
    sys.stdout.write("".join(f"{line}\n" for line in done))
    return 0


def _build(options: argparse.Namespace, made: dict[str, dict[str, Any]]) -> list[str]:
    source = Source(options.datasource, options.influxdb, options.database, options.user)
    return [str(path) for path in provision.write(options.folder, made, source, options.seen_as)]


def _push(options: argparse.Namespace, made: dict[str, dict[str, Any]]) -> list[str]:
    token = options.token or os.environ.get(TOKEN_FROM, "").strip()
    with Grafana(options.url, token) as grafana:
        if not grafana.source_is_there(options.datasource):
            sys.stderr.write(f'note: the token may not see data source "{options.datasource}"; not checked\n')
        return grafana.push(made, options.folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tocsin dashboards", description="The Grafana dashboards of the stations.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="build | push")
    build = verbs.add_parser("build", help="write the dashboards, and the YAML that makes a Grafana load them")
    build.add_argument("folder", type=Path, metavar="FOLDER", help="where to write; it is made if absent")
    build.add_argument("--influxdb", default=provision.INFLUXDB, metavar="URL",
                       help="of the store (default: %(default)s)")
    build.add_argument("--database", default=provision.DATABASE, metavar="NAME", help="(default: %(default)s)")
    build.add_argument("--user", default="", metavar="NAME",
                       help=f"who reads; Grafana takes the password from its variable {provision.PASSWORD_FROM}")
    build.add_argument("--seen-as", default="", metavar="PATH",
                       help="FOLDER/dashboards as Grafana sees it, if that differs, as in a container")
    push = verbs.add_parser("push", help="put the dashboards into a running Grafana")
    push.add_argument("--url", required=True, metavar="URL", help="as in the browser, for instance http://host:3000")
    push.add_argument("--token", default="", metavar="TOKEN",
                      help=f"of a service account with role Editor (default: from the variable {TOKEN_FROM})")
    push.add_argument("--folder", default=provision.FOLDER, metavar="UID",
                      help="of the folder; it is made if absent (default: %(default)s)")
    for verb in (build, push):
        verb.add_argument("--datasource", default=station.SOURCE, metavar="UID",
                          help="of the InfluxDB data source in Grafana (default: %(default)s)")
        verb.add_argument("--stations", type=Path, metavar="FILE",
                          help="the answer of the hub at /api/v1/stations: each gets a page with thresholds")
    return parser
