#!/bin/bash
# Arrows point one way: the programs that run packed models are built from nothing that trains or freezes them.
#
#   arrows_test.sh FILE    FILE: all targets that the programs depend on, one to a line
set -euo pipefail

grep -q '^//runtime:interpreter$' "$1" || { echo "FAIL: $1 is no list of runtime's dependencies" >&2; exit 1; }
if grep -E '^//(graph|optim|models|export)[:/]' "$1"; then
  echo "FAIL: the targets above must not be needed to run a packed model" >&2
  exit 1
fi
