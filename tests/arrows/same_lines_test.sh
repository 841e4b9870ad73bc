#!/bin/bash
# The lines of a file are those expected, in any order.
#
#   same_lines_test.sh FILE LINE...
set -euo pipefail

file=$1
shift
diff <(printf '%s\n' "$@" | sort) <(sort -u "$file") ||
  { echo "FAIL: expected the lines marked '<', $file has those marked '>'" >&2; exit 1; }
