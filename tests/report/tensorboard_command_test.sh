#!/bin/bash
# train --tensorboard on the command line: what is refused before anything is trained, and what a resumed run adds.
#
#   tensorboard_command_test.sh TRAIN
train=$PWD/$1
source tests/testing/command_line.sh

small=(--set=data.limit=300 --set=data.validation_examples=100 --set=model.mlp.hidden=8,8)

# run NAME BOARD FLAGS...: trains a tiny net.
run() {
  "$train" --out="$1" --tensorboard="$2" "${small[@]}" "${@:3}"
}

# expect_files BOARD NUMBER
expect_files() {
  local files=("$1"/events.out.tfevents.*)
  [[ -e ${files[0]} && ${#files[@]} == "$2" ]] || fail "$1 has not $2 event files: ${files[*]}"
}

touch file
expect_error "cannot make the folder of --tensorboard 'file/board'" run refused file/board --epochs=1
expect_error "cannot write '/proc/events'" run refused /proc --epochs=1
[[ ! -e refused ]] || fail "a run was begun whose events have no place"

expect_last_line 'final: epochs=1 .*' run one "my board" --epochs=1
expect_files "my board" 1
grep -qF -- "--tensorboard='my board'" one/latest.json || fail "the command that goes on has no --tensorboard"
# Beside the events there is nothing, as of a file that was tried out.
[[ $(ls -A "my board" | wc -l) == 1 ]] || fail "my board has more than a file: $(ls -A "my board")"

expect_error "'my board' has event files already" run two "my board" --epochs=1
[[ ! -e two ]] || fail "a run was begun whose curves would be mixed with others"

expect_last_line 'final: epochs=2 .*' run one "my board" --epochs=2 --resume
expect_files "my board" 2
finish
