#!/bin/sh
# Runs all tests. Those in tests/system hold real calls and mostly wait for them, so they run beside the others and tell
# afterwards how they went. With arguments: one pytest with these.
set -u
cd "$(dirname "$0")/.."
pytest="${PY:-.venv/bin/python} -m pytest"
[ $# -gt 0 ] && exec $pytest "$@"

said=$(mktemp)
trap 'rm -f "$said"' EXIT
trap 'kill "$calls" 2>/dev/null; wait; exit 130' INT TERM
$pytest tests/system >"$said" 2>&1 &
calls=$!
$pytest --ignore=tests/system
others=$?
echo "tests of everything but tests/system ended with $others; waiting for those"
wait "$calls"
system=$?
cat "$said"
[ "$others" -eq 0 ] && [ "$system" -eq 0 ]
