#!/bin/sh
# Installs Debian packages for setting up and testing; starts no system service and leaves none enabled that was not.
#
#   debian-packages.sh tests             what deploy/debian-packages names and this machine lacks
#   debian-packages.sh install NAME...   these packages
#
# As root it installs at once; otherwise it asks sudo. Without either it prints the one line to run and ends with 1.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
policy=${TOCSIN_POLICY:-/usr/sbin/policy-rc.d}   # another path is for the tests of this script
saved=$policy.before-tocsin
mark='tocsin: no service starts while packages are installed'
# Debian keeps servers and package tools where the PATH of a user may not look
PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin

say() { printf '%s\n' "$*" >&2; }

is_there() {
    case $1 in
        *.so.*) ldconfig -p | grep -qF "$1" ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

missing_for_tests() {
    grep -v '^#' "$here/debian-packages" | while read -r what package; do
        is_there "$what" || printf '%s ' "$package"
    done
}

refuse() {
    say "These Debian packages are missing: $*. Run this line as root, then make again:"
    say "apt-get update && apt-get install -y --no-install-recommends $*"
    exit 1
}

as_root() {
    # sudo may ask for the password only where somebody sits in front of it
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        say "Installing $* with sudo"
        sudo sh "$0" install "$@" && exit 0
    fi
    refuse "$@"
}

restore_policy() {
    if [ -e "$policy" ] && grep -q "$mark" "$policy"; then rm -f "$policy"; fi
    if [ -e "$saved" ] && [ ! -e "$policy" ]; then mv "$saved" "$policy"; fi
}

clean_up() {
    restore_policy
    rm -f "$before" "$after"
}

forbid_services() {
    restore_policy   # what an earlier run left that was killed
    [ ! -e "$policy" ] || mv "$policy" "$saved"
    printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
}

enabled_units() {
    systemctl list-unit-files --state=enabled --no-legend --no-pager 2>/dev/null | cut -d ' ' -f 1 | sort || true
}

disable_new_units() {
    # without systemctl before, everything would look new; and no systemd runs here
    [ "$had_systemctl" = yes ] || return 0
    enabled_units >"$after"
    comm -13 "$before" "$after" | while read -r unit; do
        if systemctl disable "$unit" >/dev/null 2>&1; then
            say "Disabled $unit, which came with these packages"
        else
            say "Could not disable $unit, which came with these packages"
            exit 1
        fi
    done
}

apt_install() { apt-get install -y --no-install-recommends "$@" </dev/null >&2; }

install_packages() {
    say "Installing $*; no service is started"
    before=$(mktemp) after=$(mktemp)
    trap clean_up EXIT
    trap 'exit 1' HUP INT TERM
    had_systemctl=no
    if command -v systemctl >/dev/null; then had_systemctl=yes; enabled_units >"$before"; fi
    forbid_services
    export DEBIAN_FRONTEND=noninteractive
    # package lists are fetched only where those at hand do not serve
    if ! apt-cache show "$@" >/dev/null 2>&1 || ! apt_install "$@"; then
        say "Fetching new package lists"
        apt-get update </dev/null >&2
        apt_install "$@"
    fi
    disable_new_units
    say "Installed $*"
}

case ${1:-} in
    tests) set -- $(missing_for_tests) ;;   # names without spaces: one word each
    install) shift ;;
    *) say "usage: $0 tests | install NAME..."; exit 2 ;;
esac
[ $# -gt 0 ] || exit 0
command -v apt-get >/dev/null || { say "No apt-get here; install by hand: $*"; exit 1; }
[ "$(id -u)" = 0 ] || as_root "$@"
install_packages "$@"
