#!/bin/bash
# Nobody but those who must is compiled against the list of quantizers (ops/quantizers/BUILD.bazel).
#
#   headers_test.sh ALL HEADER FORBIDDEN
#     ALL         lines "TARGET HEADER" (compiled_against.bzl)
#     HEADER      a regular expression that at least one header of each target matches
#     FORBIDDEN   one, of Perl's kind, that none may match
set -euo pipefail

for target in $(cut -d' ' -f1 "$1" | sort -u); do
  grep -E "^$target .*$2" "$1" >/dev/null || { echo "FAIL: $1 shows no header $2 of $target" >&2; exit 1; }
done
if grep -P " .*$3" "$1"; then
  echo "FAIL: the targets above must not be compiled against these headers" >&2
  exit 1
fi
