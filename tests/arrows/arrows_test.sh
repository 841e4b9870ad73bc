#!/bin/bash
# Arrows point one way (docs/design.md).
#
#   arrows_test.sh FILE TARGET FORBIDDEN
#     FILE        all targets that TARGET depends on, itself included, one to a line
#     FORBIDDEN   top-level folders, separated by '|', of which none may be among them
set -euo pipefail

grep -qxF "$2" "$1" || { echo "FAIL: $1 is no list of what $2 depends on" >&2; exit 1; }
if grep -E "^//($3)[:/]" "$1"; then
  echo "FAIL: $2 must not depend on the targets above" >&2
  exit 1
fi
