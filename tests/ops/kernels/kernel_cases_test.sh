#!/bin/bash
# Each kernel of the list has cases for each device: in tests/ops/kernels, for all devices at once, or both in
# tests/ops/cpu and in tests/ops/cuda.
#
#   kernel_cases_test.sh LIST TESTS
#     LIST    the header with BITGRAD_KERNELS
#     TESTS   the folder with kernels/, cpu/ and cuda/
set -euo pipefail

names=$(sed -n 's/^  X([A-Za-z0-9]*, \([a-z0-9_]*\)).*/\1/p' "$1")
[[ $(wc -l <<<"$names") -gt 50 ]] || { echo "FAIL: $1 has no list of kernels" >&2; exit 1; }

# Whether a test of the folder calls the kernel through a table.
has_cases() { grep -qE "(kernels_?|k|x|\)|CpuKernels\(\))(\.|->)$1\(" "$2"/*.cc "$2"/*.h 2>/dev/null; }

failed=0
for name in $names; do
  has_cases "$name" "$2/kernels" && continue
  for device in cpu cuda; do
    has_cases "$name" "$2/$device" && continue
    echo "FAIL: kernel $name has no cases in $2/kernels and none in $2/$device" >&2
    failed=1
  done
done
exit $failed
