#!/usr/bin/env bash
# Lint, types and tests, from nothing but Python. `--all` adds the slow tests; other arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")"

marks=()
if [ "${1:-}" = "--all" ]; then
  shift
  marks=(-m "slow or not slow")
fi

./install.sh dev beam
# A cold TensorFlow or JAX import is mostly the compilation of bytecode: allow it to be kept.
unset PYTHONDONTWRITEBYTECODE
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/python -m pytest "${marks[@]}" "$@"
