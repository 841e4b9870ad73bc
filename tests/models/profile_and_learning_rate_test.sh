#!/bin/bash
# //tools:profile and train --find_learning_rate as users call them: their last lines, what they write, and what they
# say of flags that make no sense.
#
#   profile_and_learning_rate_test.sh PROFILE TRAIN
set -uo pipefail

profile=$PWD/$1
train=$PWD/$2
# shellcheck source=tests/testing/command_line.sh
source tests/testing/command_line.sh

number='[0-9]+\.[0-9]+'
rate='[0-9.e+-]+'
small=(--set=model.mlp.hidden=16,16 --threads=1)
digits=(--set=data.limit=1100 --set=data.validation_examples=100 --set=batch_size=50)

# ---- profile ---------------------------------------------------------------------------------------------
line="profile: steps=3 step_ms=$number forward_ms=$number backward_ms=$number update_ms=$number peak_bytes=[1-9][0-9]* \
unattributed=-?$number%"
expect_last_line "$line" "$profile" "${small[@]}" --steps=3 --trace=step.json
grep -q 'batches of 100 examples, random images of 28x28x1, adam, 1 thread;' stdout || fail "no head: $(head -1 stdout)"
grep -qE '^ +[0-9.]+ +[0-9.]+% +backward +hidden2 +linear +1 ' stdout || fail "no row: $(cat stdout)"
grep -qE '^ +[0-9.]+ +100.0% +a step$' stdout || fail "no sum: $(cat stdout)"
head -c 40 step.json | grep -q '^{"displayTimeUnit":"ms","traceEvents":\[$' || fail "no trace: $(head -c 100 step.json)"
grep -q '"name":"hidden2: linear","cat":"backward"' step.json || fail "the trace has no op"
expect_last_line "$line" "$profile" "${small[@]}" --steps=3 --warm_up=0 --batch_size=7 --rows=2
grep -q 'batches of 7 examples' stdout || fail "no batch size: $(head -1 stdout)"
grep -qE '\([0-9]+ further rows\)' stdout || fail "no further rows: $(cat stdout)"
# A data set's own batches.
expect_last_line "$line" "$profile" "${small[@]}" "${digits[@]}" --steps=3 --data_dir=. --data_workers=2
grep -q "data set 'digits'" stdout || fail "not the data set: $(cat stdout)"

expect_error '--device=cuda cannot be profiled here' "$profile" --device=cuda
expect_error '--steps=0 is not in 1 .. 1000000' "$profile" --steps=0
expect_error '--warm_up=-1 is not in' "$profile" --warm_up=-1
expect_error '--batch_size=-5 is not in' "$profile" --batch_size=-5
expect_error '--threads=-1 is not in' "$profile" --threads=-1
expect_error '--data_workers=0 is not in 1 .. 64' "$profile" --data_workers=0
expect_error "recipe 'iris_conntra_mlp' is trained by coordinate descent" "$profile" --recipe=iris_conntra_mlp
expect_error '--data_dir' "$profile" --recipe=ptb_float_lstm
expect_error 'none/step.json' "$profile" "${small[@]}" --trace=none/step.json
expect_error "did you mean 'digits_bnn_mlp'" "$profile" --recipe=digits_bnn_mpl
expect_error 'unknown flag --step' "$profile" --step=3
cp step.json recipe.textproto
expect_error 'recipe.textproto' "$profile" --recipe=recipe.textproto --trace=recipe.textproto

# ---- train --find_learning_rate --------------------------------------------------------------------------
mkdir empty && cd empty || exit 1
line="find_learning_rate: suggested=$rate steepest=$rate diverges=($rate|none) batches=[1-9][0-9]*"
expect_last_line "$line" "$train" --find_learning_rate "${small[@]}" "${digits[@]}" --find_batches=100 \
  --find_least=1e-5 --find_greatest=1
grep -qE '^ +1e-05 +[0-9.]+ +[0-9.]+ +#' stdout || fail "no curve: $(cat stdout)"
grep -q 'learning begins' stdout || fail "no marks: $(cat stdout)"
rm stdout stderr
[[ -z $(ls -A) ]] || fail "it has written $(ls -A)"

expect_error 'leave out --out' "$train" --find_learning_rate --out=run
expect_error 'leave out --metrics' "$train" --find_learning_rate --metrics=run.json
expect_error 'leave out --resume' "$train" --find_learning_rate --resume --recipe=digits_bnn_mlp
expect_error 'leave out --count_arithmetic' "$train" --find_learning_rate --count_arithmetic
expect_error 'learning rates from 0 to 10' "$train" --find_learning_rate --find_least=0
expect_error 'learning rates from 1e-06 to 1e-07' "$train" --find_learning_rate --find_greatest=1e-7
expect_error '40 batches or more' "$train" --find_learning_rate --find_batches=39
expect_error "recipe 'iris_conntra_mlp' is trained by coordinate descent" \
  "$train" --find_learning_rate --recipe=iris_conntra_mlp
expect_error 'does not fall' "$train" --find_learning_rate "${small[@]}" "${digits[@]}" --find_batches=40 \
  --find_least=1e-9 --find_greatest=1e-8
cd ..

finish
