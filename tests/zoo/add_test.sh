#!/bin/bash
# //zoo:add makes the three files of an entry from a run, or says what is wrong and writes nothing.
#
#   add_test.sh ADD TRAIN EVALUATE
set -uo pipefail

add=$PWD/$1 train=$PWD/$2 evaluate=$PWD/$3
source tests/testing/command_line.sh
after_error() { [[ -z $(ls -A zoo) ]] || fail "$* left files: $(ls -A zoo)"; }

mkdir zoo
"$train" --recipe=circle_relu_mlp --set=epochs=2 --set=seed=3 --out=run --threads=1 >log 2>&1 || fail "$(tail -1 log)"
"$evaluate" --checkpoint=run --threads=1 >evaluated || fail "evaluate"
words=(--checkpoint=run --evaluated=evaluated --description='a net' --data='points of a plane')
set=(--set=epochs=2 --set=seed=3)

expect_error '--name is missing' "$add" "${words[@]}" "${set[@]}"
expect_error "--name='a-b' has other than" "$add" --name=a-b "${words[@]}" "${set[@]}"
expect_error "the recipe 'circle_relu_mlp' is not that of the checkpoint" "$add" --name=net "${words[@]}" --set=seed=3
expect_error '--description or --data has more than 100 characters' \
  "$add" --name=net "${words[@]}" "${set[@]}" --data="$(printf 'x%.0s' {1..101})"
"$train" --recipe=circle_relu_mlp --set=epochs=1 --out=short --threads=1 >log 2>&1 || fail "$(tail -1 log)"
mkdir unfinished && cp run/best.bgc short/checkpoint.bgc unfinished/
expect_error 'has had 1 of its 2 epochs' "$add" --name=net "${words[@]}" "${set[@]}" --checkpoint=unfinished
sed 's/packed_error=[^ ]*/packed_error=77.00%/' evaluated >other
expect_error "packed model's error is 77.00%" "$add" --name=net "${words[@]}" "${set[@]}" --evaluated=other
sed 's/images=[0-9]*/images=5/' evaluated >other
expect_error 'is of another test set' "$add" --name=net "${words[@]}" "${set[@]}" --evaluated=other
expect_error "has no line that begins with 'evaluate: '" "$add" --name=net "${words[@]}" "${set[@]}" --evaluated=log

"$add" --name=net "${words[@]}" "${set[@]}" >stdout 2>stderr || fail "add: $(cat stderr)"
[[ ! -s stderr ]] || fail "add says on stderr: $(cat stderr)"
tail -n 1 stdout | grep -qE '^add: name=net bytes=[0-9]+ tolerance=[0-9.e-]+$' || fail "last line: $(tail -1 stdout)"
[[ $(ls zoo | tr '\n' ' ') == 'net.bgm net.logits net.textproto ' ]] || fail "files: $(ls zoo)"
[[ $(wc -l <zoo/net.logits) == 8 ]] || fail "not a line for each of 8 inputs"
error=$(grep -o 'packed_error=[0-9.]*' evaluated | cut -d= -f2)
grep -qE "^test_error_percent: 0*${error%.*}" zoo/net.textproto || fail "not the error: $(cat zoo/net.textproto)"
grep -qxF 'set: "epochs=2"' zoo/net.textproto || fail "no --set: $(cat zoo/net.textproto)"
grep -qxF "byte_size: $(stat -c %s zoo/net.bgm)" zoo/net.textproto || fail "not the size"

finish
