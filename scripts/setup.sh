#!/usr/bin/env bash
# Installs what `make demo` (argument: demo), `make test` (test), `make test-all` (test-all) or `make bench-api` (bench)
# needs and this machine lacks. Says what it does before it does it, starts and enables no system service, and is silent
# when everything is there.
set -euo pipefail
cd "$(dirname "$0")/.."

# The programs that prove a package is there, and Debian's packages for them.
missing=()
need() {
    local packages=$1 path
    shift
    for path in "$@"; do
        # An unquoted pattern: versions are part of some paths.
        compgen -G "$path" >/dev/null && return
        [[ $path != /* ]] && command -v "$path" >/dev/null && return
    done
    # shellcheck disable=SC2206 # several packages are several words
    missing+=($packages)
}

homebrew=/opt/homebrew/opt
need_demo() {
    need "gcc libc6-dev" cc
    need postgresql initdb "/usr/lib/postgresql/*/bin/initdb" "/usr/pgsql-*/bin/initdb" "$homebrew/postgresql@*/bin/initdb"
    need redis-server redis-server valkey-server
}
need_test() {
    need_demo
    need postfix smtp-sink /usr/sbin/smtp-sink
    need dovecot-imapd /usr/lib/dovecot/imap /usr/libexec/dovecot/imap "$homebrew/dovecot/libexec/dovecot/imap"
    need dovecot-lmtpd /usr/lib/dovecot/lmtp /usr/libexec/dovecot/lmtp "$homebrew/dovecot/libexec/dovecot/lmtp"
    need dovecot-sieve sievec /usr/lib/dovecot/modules/lib90_sieve_plugin.so
}

# For scripts/tools.sh, and to build and run the image.
need_to_deploy() {
    need buildah buildah
    need binutils strip
    need util-linux unshare
    need npm npm
}

need_test-all() {
    need_test
    need prometheus promtool
    need_to_deploy
    need python3-venv "/usr/lib/python3*/ensurepip" "/usr/local/lib/python3*/ensurepip" "$HOME/.pyenv/versions/*/lib/python3*/ensurepip"
    need chromium chromium
    need nodejs node
    need npm npm
}

# What the browser tests drive Chromium with; the lock file says which versions, by their hashes.
browser=tests/browser
need_modules() {
    [[ ! $browser/node_modules/.package-lock.json -nt $browser/package-lock.json ]]
}
install_modules() {
    echo "setup: installing playwright-core and axe-core into tests/browser/node_modules with npm"
    npm ci --prefix "$browser" --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    touch "$browser/node_modules/.package-lock.json"
}

# schemathesis, in a folder of this tree's own; only where what is asked for is another than what is there.
install_schemathesis() {
    local asked=tests/schema/requirements.txt there=target/schemathesis
    cmp -s "$asked" "$there/installed.txt" && return
    echo "setup: installing schemathesis with pip into $there"
    rm -rf "$there"
    python3 -m venv "$there"
    "$there/bin/pip" install --quiet --disable-pip-version-check --requirement "$asked"
    cp "$asked" "$there/installed.txt"
}

finish() {
    if [[ $1 == test-all ]]; then
        ! need_modules || install_modules
        install_schemathesis
    fi
    exit 0
}

need_bench() {
    need_test
    need wrk wrk
}

explain() {
    cat >&2 <<EXPLAIN
$1
Missing here: ${missing[*]}. Install by hand and run this again:
  Debian, Ubuntu: sudo apt-get install --no-install-recommends ${missing[*]}
  Fedora:         sudo dnf install gcc postgresql-server postgresql-contrib valkey postfix dovecot dovecot-pigeonhole
  macOS:          xcode-select --install; brew install postgresql@17 redis dovecot   (smtp-sink comes with the system's Postfix)
EXPLAIN
    exit 1
}

services=(postgresql.service redis-server.service postfix.service dovecot.service dovecot.socket prometheus.service)
policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.conf
as_root=(env) made_policy='' made_clusters='' log=''

has_unit() { [[ -e /lib/systemd/system/$1 || -e /usr/lib/systemd/system/$1 ]]; }

# Debian starts and enables what it installs. Four things keep it from that: no service may start while policy-rc.d
# says so; Postgres makes no cluster of its own; Postfix gets no configuration; what was enabled is disabled again.
install_on_debian() {
    local unit new_services=()
    for unit in "${services[@]}"; do
        has_unit "$unit" || new_services+=("$unit")
    done
    echo "setup: installing ${missing[*]} with apt-get; no service is started or enabled"
    log=$(mktemp)
    trap undo EXIT
    if [[ ! -e $policy ]]; then
        made_policy=yes
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" install -m 755 /dev/stdin "$policy"
    fi
    if [[ ! -e $clusters ]]; then
        made_clusters=yes
        echo 'create_main_cluster = false' | "${as_root[@]}" install -D -m 644 /dev/stdin "$clusters"
    fi
    if [[ " ${missing[*]} " == *" postfix "* ]]; then
        echo 'postfix postfix/main_mailer_type select No configuration' | "${as_root[@]}" debconf-set-selections
    fi
    apt update
    apt install --yes --no-install-recommends "${missing[@]}"
    for unit in "${new_services[@]}"; do
        has_unit "$unit" || continue
        "${as_root[@]}" deb-systemd-helper disable "$unit" >/dev/null 2>&1 || true
        [[ ! -e /etc/init.d/${unit%.*} ]] || "${as_root[@]}" update-rc.d "${unit%.*}" disable >/dev/null 2>&1 || true
    done
}

apt() {
    local quiet=(env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 apt-get -qq -o Dpkg::Use-Pty=0)
    if ! "${as_root[@]}" "${quiet[@]}" "$@" </dev/null >"$log" 2>&1; then
        cat "$log" >&2
        echo "setup: apt-get $1 failed" >&2
        exit 1
    fi
}

# Puts back what was there, or what the package would have put there.
undo() {
    rm -f "$log"
    [[ -z $made_policy ]] || "${as_root[@]}" rm -f "$policy"
    [[ -n $made_clusters ]] || return 0
    "${as_root[@]}" cp "/usr/share/postgresql-common/${clusters##*/}" "$clusters" 2>/dev/null ||
        "${as_root[@]}" rm -f "$clusters"
}

case ${1:-} in
demo | test | test-all | bench) "need_$1" ;;
*)
    echo "usage: scripts/setup.sh demo|test|test-all|bench" >&2
    exit 2
    ;;
esac
[[ ${#missing[@]} -gt 0 ]] || finish "$1"
command -v apt-get >/dev/null || explain "This machine has no apt-get, so setup can't install by itself."
if [[ $EUID -eq 0 ]]; then
    install_on_debian
elif command -v sudo >/dev/null; then
    echo "setup: sudo may ask for your password"
    as_root=(sudo)
    install_on_debian
else
    explain "Installing needs root, and there is no sudo."
fi
missing=()
"need_$1"
[[ ${#missing[@]} -eq 0 ]] || explain "apt-get ran, and something is still missing."
finish "$1"
