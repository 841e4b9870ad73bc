#!/bin/bash
# Sweeps of tiny runs as users start them: interrupted, killed and resumed; with halving; with trials that fail.
#
#   sweep_test.sh SWEEP COMPARE TRAIN
sweep=$PWD/$1 compare=$PWD/$2 train=$PWD/$3
source tests/testing/command_line.sh

base='set: "data.limit=1000" set: "data.validation_examples=200" set: "batch_size=20" set: "epochs=2"'

# A sweep's file with this text.
write() {
  echo "$base $2" >"$1.textproto"
}

# The table of a program's output, without the seconds, which no two runs have in common.
table() {
  sed -n '/^group /,/^the same/p' "$1" | grep -v '^the same' | awk -F '  +' -v OFS='|' '{ $9 = ""; print }'
}

# Waits until the file has the text, a minute at most.
wait_for() {
  for ((i = 0; i < 600; ++i)); do
    grep -qF -- "$2" "$1" && return
    sleep 0.1
  done
  fail "no '$2' in $1: $(cat "$1")"
}

write eight '
  field { name: "optimizer.learning_rate" value: "0.01" value: "0.0001" }
  field { name: "model.mlp.hidden" value: "8" value: "16" }
  seed: 1 seed: 2'
write halving '
  field { name: "optimizer.learning_rate" log_uniform { low: 1e-4 high: 1e-1 values: 4 } }
  set: "model.mlp.hidden=8" halving { min_epochs: 1 factor: 2 }'
write failing 'set: "model.mlp.hidden=8" field { name: "optimizer.learning_rate" value: "0.01" value: "1e38" }'

# In one go.
expect_last_line 'sweep: trials=8 finished=8 failed=0 best=trial_[1-4]_seed_[12] valid_error=[0-9.]+%' \
  "$sweep" --sweep=eight.textproto --out=whole --processes=2 --threads=1
cp stdout whole.txt
[[ $(table whole.txt | wc -l) == 10 ]] || fail "no table of four groups, and of what differs: $(cat whole.txt)"
grep -q '^3 *optimizer.learning_rate=0.0001$\|^3 .*model.mlp.hidden=8 .*optimizer.learning_rate=0.0001' whole.txt ||
  fail "the third group is not what a grid has there: $(cat whole.txt)"
[[ -s whole/compare.html ]] || fail "no page"

# Interrupted when one run is finished, killed when another one is, and resumed.
"$sweep" --sweep=eight.textproto --out=parts --processes=2 --threads=1 >parts1.txt 2>parts1.err &
child=$!
wait_for parts1.txt '[1/8]'
kill -TERM $child
wait $child && fail "an interrupted sweep ends with success"
[[ $(wc -l <parts1.err) == 1 ]] || fail "not one line: $(cat parts1.err)"
grep -q "continue with: .* --resume --out=parts --processes=2$" parts1.err || fail "no command: $(cat parts1.err)"
finished=$(grep -c '^\[' parts1.txt)
((finished < 8)) || fail "it was not interrupted: $(cat parts1.txt)"
before=$(stat -c '%i %y' parts/trial_1_seed_1/checkpoint.bgc)

"$sweep" --resume --out=parts --processes=2 >parts2.txt 2>parts2.err &
child=$!
wait_for parts2.txt "[$((finished + 1))/8]"
kill -KILL $child
wait $child 2>/dev/null
grep -q "^$finished of 8 trials have their epochs already" parts2.txt ||
  fail "finished runs are not kept: $(cat parts2.txt)"

expect_last_line 'sweep: trials=8 finished=8 failed=0 .*' \
  "$sweep" --resume --out=parts --sweep=eight.textproto --processes=2
[[ $(stat -c '%i %y' parts/trial_1_seed_1/checkpoint.bgc) == "$before" ]] || fail "a finished run was trained again"
diff <(table whole.txt) <(table stdout) || fail "the interrupted sweep has another table"
[[ $(tail -n 1 whole.txt) == "$(tail -n 1 stdout)" ]] || fail "another last line: $(tail -n 1 stdout)"

# Halving: four configurations have an epoch, the best two of them a second one.
expect_last_line 'sweep: trials=4 finished=4 failed=0 best=trial_[1-4] valid_error=.*' \
  "$sweep" --sweep=halving.textproto --out=halved --processes=2 --threads=1
grep -q '^round 1 of 2: 4 configurations are trained up to epoch 1$' stdout || fail "round 1: $(cat stdout)"
grep -q '^round 2 of 2: 2 configurations are trained up to epoch 2$' stdout || fail "round 2: $(cat stdout)"
[[ $(table stdout | cut -d'|' -f3 | grep -cx 2) == 2 ]] || fail "not two runs of two epochs: $(cat stdout)"
table stdout >halved.txt
# What has its epochs is not trained again, and the decision is the same.
expect_last_line 'sweep: trials=4 finished=4 failed=0 .*' "$sweep" --resume --out=halved
diff halved.txt <(table stdout) || fail "another table of a sweep that was finished"

# A trial that fails does not end the sweep.
expect_last_line 'sweep: trials=2 finished=1 failed=1 best=trial_1 valid_error=.*' \
  "$sweep" --sweep=failing.textproto --out=failing --threads=1
grep -qF "trial_2 failed (exit status 1); the end of 'failing/trial_2.log':" stdout || fail "not said: $(cat stdout)"
grep -q '^    .*training stopped in epoch 1' stdout || fail "not why: $(cat stdout)"

# What is wrong is found before anything is trained.
after_error() {
  [[ ! -e bad ]] || fail "something was begun: $*"
}
bad() {
  write bad "$2"
  expect_error "$1" "$sweep" --sweep=bad.textproto --out=bad
}
bad "did you mean 'learning_rate'?" 'field { name: "optimizer.lerning_rate" value: "1" }'
bad "there is nothing to try" ''
bad "did you mean 'value'?" 'field { name: "epochs" valeu: "1" }'
bad "trial_2 (model.mlp.activation_quantizer=sing): " \
  'field { name: "model.mlp.activation_quantizer" value: "sign" value: "sing" }'
bad "trial_1 (batch_size=0): recipe: batch_size is 0; it has to be positive" 'field { name: "batch_size" value: "0" }'
bad "trial_1 (schedule.name=steep): " 'field { name: "schedule.name" value: "steep" }'
bad "halving goes by validation" 'set: "data.validation_examples=0" halving { min_epochs: 1 } seed: 1'
expect_error "--sweep=FILE is missing" "$sweep" --out=bad
expect_error "cannot open 'nothing.textproto'" "$sweep" --sweep=nothing.textproto --out=bad
expect_error "--processes=0 is not in 1 .. 256" "$sweep" --sweep=eight.textproto --out=bad --processes=0
expect_error "--resume needs --out=DIR" "$sweep" --resume
expect_error "'bad' is no folder of a sweep" "$sweep" --resume --out=bad
exec 9>>whole/.lock
flock -n 9 || fail "whole is in use"
expect_error "another process is running in 'whole'" "$sweep" --resume --out=whole
expect_error "another process is running in 'whole'" "$sweep" --sweep=eight.textproto --out=whole
exec 9>&-
expect_error "holds a sweep already" "$sweep" --sweep=eight.textproto --out=whole
expect_error "'whole' holds another sweep than 'halving.textproto'" \
  "$sweep" --resume --sweep=halving.textproto --out=whole
expect_error "--threads=2: the sweep in 'whole' has '1' and goes on with it" "$sweep" --resume --out=whole --threads=2
expect_error "holds a run already" "$sweep" --sweep=eight.textproto --out=whole/trial_1_seed_1

# The same runs by hand, and such that cannot be compared.
expect_last_line 'compare: runs=3 groups=2 data_sets=1 best=trial_[12]_seed_[12] valid_error=.*% out=.*page.html' \
  "$compare" whole/trial_1_seed_1 whole/trial_2_seed_1 whole/trial_1_seed_2 --out=page.html
[[ -s page.html ]] || fail "no page"
"$train" --out=other --threads=1 --set=data.limit=500 --set=data.validation_examples=100 --set=model.mlp.hidden=8 \
  --epochs=1 >/dev/null || fail "train"
expect_last_line 'compare: runs=2 groups=2 data_sets=2 best=none' "$compare" whole/trial_1_seed_1 other
grep -q '^note: the runs are of different data' stdout || fail "other data is not said: $(cat stdout)"
rm other/best.bgc
"$compare" other >stdout 2>stderr || fail "a run without its best model: $(cat stderr)"
grep -q "^warning: bits and bytes of 'other' are left out: .*best.bgc" stderr || fail "no warning: $(cat stderr)"
expect_error "name the runs to compare" "$compare"
expect_error "'nowhere' is no folder of a run" "$compare" other nowhere
expect_error "'whole' is no folder of a run" "$compare" whole
expect_error "the run 'other/' is named twice" "$compare" other other/
expect_error "--out" "$compare" other --out=other/checkpoint.bgc
finish
