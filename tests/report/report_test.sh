#!/bin/bash
# The report as users get it: from train, and again from a run's folder.
#
#   report_test.sh TRAIN REPORT
set -uo pipefail

train=$PWD/$1 report=$PWD/$2
source tests/testing/command_line.sh

small=(--set=data.limit=600 --set=data.validation_examples=200 --set=model.mlp.hidden=32,16 --set=batch_size=50
  --epochs=2 --threads=1)

# has_figures FILE NAME...
has_figures() {
  local file=$1 name
  shift
  for name in "$@"; do
    grep -q "<figure id=\"figure-$name\">" "$file" || fail "no figure '$name' in $file"
  done
}

"$train" "${small[@]}" --out=run >stdout 2>stderr || fail "train: $(cat stderr)"
has_figures run/report.html loss error learning-rate sign-flips at-clip inside-window flipped-back gradient-norm \
  constant-channels weights-hidden1 confusion mistakes filters step-time step-memory step-parts
grep -q 'of 2</b>' run/report.html || grep -q '2 of 2' run/report.html || fail "the report is not of the last epoch"
grep -q -- '--resume --out=' run/report.html || fail "no command to go on"
if grep -qE '(src|href)="[a-z]*:?//|url\(|<script|<link' run/report.html; then fail "the report loads something"; fi

# From the folder: the same bytes.
expect_last_line "report: epochs=2 figures=[0-9]+ bytes=$(stat -c %s run/report.html) out=page.html" \
  "$report" --run=run --out=page.html
cmp run/report.html page.html || fail "the report of the folder is another one"
figures=$(grep -c '<figure ' page.html)
mv run/report.html first.html
expect_last_line "report: epochs=2 figures=$figures bytes=[0-9]+ out=run/report.html" "$report" --run=run
cmp run/report.html first.html || fail "the report of the folder is another one"

# A resumed run keeps the epochs before.
"$train" --resume --out=run --epochs=3 --threads=1 >stdout 2>stderr || fail "resume: $(cat stderr)"
grep -q 'hidden1, epoch 1: ' run/report.html || fail "the resumed run's report lost epoch 1"
grep -q 'hidden1, epoch 3: ' run/report.html || fail "the resumed run's report has no epoch 3"

# Without a report nothing is collected, and what metrics tell is shown all the same.
"$train" "${small[@]}" --noreport --quiet --out=plain >stdout 2>stderr || fail "train --noreport --quiet: $(cat stderr)"
for file in report.html diagnostics.jsonl latest.json; do
  [[ ! -e plain/$file ]] || fail "--noreport --quiet leaves $file"
done
expect_last_line "report: epochs=2 .*" "$report" --run=plain
grep -q '^note: the run has no diagnostics' stdout || fail "the missing diagnostics are not said: $(cat stdout)"
has_figures plain/report.html loss error sign-flips

# A model of text: what it writes, and bits per character in place of errors.
mkdir -p text
for i in $(seq 400); do echo "The king $((i % 7)) is dead. Long live the king!"; done >text/input.txt
"$train" --recipe=shakespeare_char_lstm_4bit --data_dir=text --set=model.recurrent_net.hidden=16 \
  --set=model.recurrent_net.embedding=8 --set=batch_size=10 --set=data.steps=20 --epochs=2 --threads=1 --out=king \
  >stdout 2>stderr || fail "a model of text: $(cat stderr)"
has_figures king/report.html loss bpc learning-rate samples gradient-norm step-time
grep -qE 'figure-(error|confusion|mistakes|filters)"' king/report.html && fail "figures of images in a text's report"
grep -q '<blockquote><b>The </b>' king/report.html || fail "the sample has no prompt"
[[ $(grep -o '"text":"[^"]*"' king/latest.json | wc -c) -gt 250 ]] || fail "the sample is short"
grep -q '^warning: samples' stdout && fail "$(grep '^warning: samples' stdout)"

# What cannot be written does not end the training.
mkdir -p blocked/report.html
"$train" "${small[@]}" --out=blocked >stdout 2>stderr || fail "a report that cannot be written: $(cat stderr)"
[[ $(grep -c '^warning: the report: .*training goes on$' stdout) == 2 ]] || fail "no warnings: $(cat stdout)"
tail -n 1 stdout | grep -q '^final: epochs=2 ' || fail "training did not go on: $(tail -n 1 stdout)"

# Damaged diagnostics are said, and left out.
echo '{"epoch": 1' >run/diagnostics.jsonl
expect_last_line "report: epochs=3 .*" "$report" --run=run
grep -q "^warning: 'run/diagnostics.jsonl' cannot be read" stdout || fail "the damage is not said: $(cat stdout)"

expect_error "no run is given" "$report"
expect_error "'nowhere' is no folder of a run: there is no checkpoint.bgc in it" "$report" --run=nowhere
expect_error "--out" "$report" --run=plain --out=plain/checkpoint.bgc
expect_error "no_such_folder" "$report" --run=plain --out=no_such_folder/page.html
finish
