#!/bin/sh
# Runs all tests, in two lanes beside each other: tests/system holds real calls and mostly waits for them; what is in
# LATER follows it there. The first lane tells at the end how it went. With arguments: one pytest with these.
set -u
cd "$(dirname "$0")/.."
pytest="${PY:-.venv/bin/python} -m pytest"
[ $# -gt 0 ] && exec $pytest "$@"
LATER="tests/domain tests/flows tests/archive tests/store tests/worker"

said=$(mktemp)
trap 'rm -f "$said"' EXIT
trap 'kill "$calls" 2>/dev/null; wait; exit 130' INT TERM
(
    status=0
    $pytest tests/system || status=1
    # shellcheck disable=SC2086  # several folders
    $pytest $LATER || status=1
    exit $status
) >"$said" 2>&1 &
calls=$!
ignored=""
for folder in tests/system $LATER; do ignored="$ignored --ignore=$folder"; done
# shellcheck disable=SC2086
$pytest $ignored --durations=25
others=$?
echo "the other lane ended with $others; waiting for tests/system and $LATER"
wait "$calls"
first=$?
cat "$said"
[ "$others" -eq 0 ] && [ "$first" -eq 0 ]
