#!/bin/bash
# Each kernel of the list has cases in tests/ops/kernels.
#
#   kernel_cases_test.sh LIST TESTS
#     LIST    the header with BITGRAD_KERNELS
#     TESTS   the folder with the cases
set -euo pipefail

names=$(sed -n 's/^  X([A-Za-z0-9]*, \([a-z0-9_]*\)).*/\1/p' "$1")
[[ $(wc -l <<<"$names") -gt 50 ]] || { echo "FAIL: $1 has no list of kernels" >&2; exit 1; }

failed=0
for name in $names; do
  # A test that calls the kernel through a table.
  grep -qE "(kernels|k|\))(\.|->)$name\(" "$2"/*.cc && continue
  echo "FAIL: kernel $name has no cases in $2" >&2
  failed=1
done
exit $failed
