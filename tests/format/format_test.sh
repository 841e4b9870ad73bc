#!/bin/bash
# Every source file is as clang-format leaves it (where there is one), and no line of text has more than 120 columns.
set -euo pipefail

checkout=$(dirname "$(readlink -f .clang-format)")
cd "$checkout"
[[ -f .clang-format && -f deps.bzl ]] || { echo "FAIL: '$checkout' is no checkout"; exit 1; }

# Files, but not what Bazel or an editor has put beside them.
files() {
  local names=() name
  for name in "$@"; do names+=(-o -name "$name"); done
  find . \( -name '.?*' -o -name 'bazel-*' \) -prune -o -type f \( "${names[@]:1}" \) -print
}

status=0
mapfile -t sources < <(files '*.h' '*.cc' '*.cu' '*.proto')
((${#sources[@]} > 100)) || { echo "FAIL: found only ${#sources[@]} sources below '$checkout'"; exit 1; }
if command -v clang-format >/dev/null; then
  if ! clang-format --dry-run -Werror "${sources[@]}" >"$TEST_TMPDIR/format" 2>&1; then
    head -n 20 "$TEST_TMPDIR/format"
    echo "FAIL: run clang-format -i on the files above"
    status=1
  fi
else
  echo "clang-format is not here: the form of the sources was not checked"
fi

mapfile -t texts < <(files '*.h' '*.cc' '*.cu' '*.proto' '*.bzl' '*.bazel' '*.BUILD' '*.sh' '*.py' '*.textproto')
# A word that is longer, an address say, cannot be broken.
if ! awk 'length > 120 && NF > 2 { print FILENAME ":" FNR ": " length " columns"; found = 1 } END { exit found }' \
  "${texts[@]}" bazelw .bazelrc .ci/run; then
  echo "FAIL: the lines above have more than 120 columns"
  status=1
fi
exit "$status"
