#!/bin/bash
# Runs benchmarks of a suite for one iteration each. A suite compares results before it times them, and fails where they
# differ.
#
#   smoke_test.sh PROGRAM FILTER EXPECTED [FLAG...]
#     FILTER     selects the benchmarks to run
#     EXPECTED   how many benchmarks the filter has to match
set -euo pipefail

if ! out=$("$1" --benchmark_filter="$2" --benchmark_min_time=0 --benchmark_format=csv "${@:4}"); then
  echo "$out" >&2
  exit 1
fi
count=$(grep -c '^"' <<<"$out" || true)
[[ $count == "$3" ]] || { echo "FAIL: $count benchmarks match '$2', not $3:" >&2; echo "$out" >&2; exit 1; }
