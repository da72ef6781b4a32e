#!/bin/sh
# Sees to the programs that tests and benchmarks talk to. Usage: deploy/peers.sh PROGRAM:PACKAGE ...
# As root it installs what is missing with apt; otherwise it names the packages and stops.
set -eu
missing=
for pair in "$@"; do
    program=${pair%%:*}
    command -v "$program" >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/"$program" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "peers: installing$missing" >&2
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "peers: these programs are needed; install Debian's packages:$missing" >&2
    exit 1
fi
