#!/usr/bin/env bash
# Lint, types and tests, from nothing but Python; two files of tests at a time. `--all` adds the slow tests, among them
# kills and deadlines, which want the machine for themselves: one at a time. Other arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")"

marks=(--numprocesses 2 --dist loadfile)
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
