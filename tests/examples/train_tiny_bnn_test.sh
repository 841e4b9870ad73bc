#!/bin/bash
# The example learns, its packed model gives exactly the graph's error, and the model is at most 30 lines.
set -euo pipefail
output=$("$1")
echo "$output"
graph=$(sed -n 's/^epoch 3  test error \(.*\)%$/\1/p' <<<"$output")
packed=$(sed -n 's/^packed: [0-9]* bytes, test error \(.*\)%$/\1/p' <<<"$output")
[[ -n $graph && $graph == "$packed" ]] || { echo "FAIL: graph error '$graph', packed '$packed'"; exit 1; }
awk -v error="$graph" 'BEGIN { exit !(error < 10) }' || { echo "FAIL: error $graph% is not below 10%"; exit 1; }
lines=$(sed -n '/^class TinyBnn/,/^};/p' models/examples/tiny_bnn.h | wc -l)
((lines > 5 && lines <= 30)) || { echo "FAIL: the model has $lines lines"; exit 1; }
