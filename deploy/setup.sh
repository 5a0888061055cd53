#!/bin/sh
# Makes .venv in the checkout, with tocsin and all its extras in it. Done already: ends at once. Broken or moved: anew.
#
#   PYTHON=python3.12 deploy/setup.sh    another interpreter than python3 (3.11 or newer)
#   deploy/setup.sh bench                also the extra with that name, which nothing but the benchmarks needs
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cd "$here/.."
root=$(pwd -P)
python=${PYTHON:-python3}
stamp=.venv/tocsin-setup${1:+-$1}
extras=edge,hub,dashboards,dev${1:+,$1}

say() { printf '%s\n' "$*" >&2; }

# what a finished .venv depends on: its place (its scripts name it) and the list of packages
wanted() { printf '%s\n' "$root"; cat "$here/setup.sh" pyproject.toml | cksum; }

done_already() {
    [ "$(cat "$stamp" 2>/dev/null)" = "$(wanted)" ] && [ -x .venv/bin/tocsin ] && asked_for &&
        .venv/bin/python -c 'import msgspec, pip' 2>/dev/null
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

# an interpreter that is named must be the one in .venv; without a name, any that works will do
asked_for() { [ -z "${PYTHON:-}" ] || [ "$(version_of .venv/bin/python)" = "$(version_of "$python")" ]; }

usable() {
    [ -x .venv/bin/python ] && .venv/bin/python -m pip --version >/dev/null 2>&1 && asked_for &&
        .venv/bin/python -c 'import sys; sys.exit(sys.prefix != sys.argv[1])' "$root/.venv" &&
        head -n 1 .venv/bin/pip | grep -q -F "$root/.venv/"
}

need_python() {
    if ! command -v "$python" >/dev/null; then
        [ "$python" = python3 ] || { say "PYTHON=$python: no such command"; exit 1; }
        sh "$here/debian-packages.sh" install python3-venv
    fi
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        say "tocsin needs Python 3.11 or newer; $python is $(version_of "$python"). Name another: make setup PYTHON=python3.12"
        exit 1
    fi
    "$python" -c 'import ensurepip, venv' 2>/dev/null || sh "$here/debian-packages.sh" install python3-venv
    "$python" -c 'import ensurepip, venv' 2>/dev/null || { say "$python cannot make a venv: it lacks ensurepip"; exit 1; }
}

# uv does not read pip's settings; a mirror or a certificate that is set for pip is meant for it too
pip_setting() { .venv/bin/python -m pip config list | sed -n "s/^[^=]*\.$1='\(.*\)'\$/\1/p" | tail -n 1; }

with_uv() {
    .venv/bin/python -m pip install --quiet uv || return 1
    index=${UV_DEFAULT_INDEX:-$(pip_setting index-url)}
    certificates=${SSL_CERT_FILE:-$(pip_setting cert)}
    [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    [ -z "$certificates" ] || export SSL_CERT_FILE="$certificates"
    .venv/bin/uv pip install --quiet --python .venv/bin/python -e ".[$extras]"
}

if done_already; then exit 0; fi
need_python
if ! usable; then
    say "Making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
fi
rm -f "$stamp"
say "Installing tocsin[$extras] into .venv"
with_uv || {
    say "uv did not do it; now pip tries, slower"
    .venv/bin/python -m pip install --quiet -e ".[$extras]"
}
wanted >"$stamp"
say "Set up: .venv/bin/tocsin"
