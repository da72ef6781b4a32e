#!/bin/sh
# Makes .venv with everything that requirements.lock pins, from a bare Debian 12 with python3 and a package registry.
# Runs again only when the lock or the project file changed. Usage: deploy/setup.sh [PYTHON]
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
uv_version=0.13.9

say() { printf '%s\n' "setup: $*" >&2; }

command -v "$python" >/dev/null 2>&1 || { say "python3 is missing: install Debian's package python3"; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "Python 3.11 or newer is needed"; exit 1; }

stamp=.venv/setup-$(cat requirements.lock pyproject.toml deploy/setup.sh | "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])')
# Compiled once here, so that processes start in half the time, also where Python is told to write no byte code itself.
compile_ours() { .venv/bin/python -m compileall -q -j 0 src tests bench || say "some files cannot be compiled"; }
if [ -e "$stamp" ] && [ -x .venv/bin/python ]; then
    compile_ours
    exit 0
fi

if ! [ -x .venv/bin/pip ]; then
    rm -rf .venv
    if ! "$python" -m venv .venv >/dev/null 2>&1; then
        rm -rf .venv
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
            say "python3-venv is missing: installing it"
            apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
        else
            say "Python's venv module is missing: install Debian's package python3-venv, then run make again"
            exit 1
        fi
        "$python" -m venv .venv
    fi
fi
say "installing packages (first run: about a minute)"
.venv/bin/pip install --quiet --disable-pip-version-check "uv==$uv_version"
.venv/bin/uv pip sync --quiet --compile-bytecode --require-hashes --python .venv/bin/python requirements.lock
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --python .venv/bin/python --editable .
compile_ours
rm -f .venv/setup-*
touch "$stamp"
