#!/usr/bin/env bash
# Makes .venv with SST and the named extras in it, e.g. `./install.sh dev beam`. Does nothing if that is done.
set -euo pipefail
cd "$(dirname "$0")"

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "SST needs Python 3.11 or newer; '$python' is not. Set PYTHON=/path/to/python3.11." >&2
  exit 2
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  echo "This Python cannot make virtual environments. On Debian or Ubuntu: sudo apt install python3-venv" >&2
  exit 2
fi

extras=$(IFS=,; echo "$*")
wanted="$extras $(sha256sum setup.cfg pyproject.toml | sha256sum | cut -c1-16)"
if [ -x .venv/bin/python ] && [ "$(cat ".venv/installed-$extras" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
echo "Installing SST and its dependencies into .venv (about two minutes, 3 GB) ..." >&2
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install -qq --upgrade pip
.venv/bin/python -m pip install -qq -e ".${extras:+[$extras]}"
echo "$wanted" > ".venv/installed-$extras"
