#!/bin/bash
# README.md shows the example as it is; the example learns, its packed model gives exactly the graph's error, and the
# model is at most 30 lines.
set -euo pipefail

fail() {
  echo "FAIL: $1"
  exit 1
}

source=models/examples/train_tiny_bnn.cc
# The first block of code in README.md, against the source from its first #include on.
shown=$(awk '/^```cpp$/ { if (!done) inside = 1; next } /^```$/ { if (inside) done = 1; inside = 0 } inside' README.md)
[[ $shown == "$(sed -n '/^#include/,$p' "$source")" ]] || fail "README.md shows another program than $source"

output=$("$1")
echo "$output"
graph=$(sed -n 's/^epoch 3  test error \(.*\)%$/\1/p' <<<"$output")
packed=$(sed -n 's/^packed: [0-9]* bytes, test error \(.*\)%$/\1/p' <<<"$output")
[[ -n $graph && $graph == "$packed" ]] || fail "graph error '$graph', packed '$packed'"
awk -v error="$graph" 'BEGIN { exit !(error < 10) }' || fail "error $graph% is not below 10%"
lines=$(sed -n '/^class TinyBnn/,/^};/p' "$source" | wc -l)
((lines > 5 && lines <= 30)) || fail "the model has $lines lines"
