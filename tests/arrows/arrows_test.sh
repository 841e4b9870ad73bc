#!/bin/bash
# Checks that dependencies point one way only (docs/design.md).
#
#   arrows_test.sh FILE TARGET FORBIDDEN
#     FILE        lists all targets that TARGET depends on, itself included, one per line
#     FORBIDDEN   top-level folders, separated by '|', in which none of these targets may be
set -euo pipefail

grep -qxF "$2" "$1" || { echo "FAIL: $1 is no list of what $2 depends on" >&2; exit 1; }
if grep -E "^//($3)[:/]" "$1"; then
  echo "FAIL: $2 must not depend on the targets above" >&2
  exit 1
fi
