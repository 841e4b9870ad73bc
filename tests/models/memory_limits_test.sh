#!/bin/bash
# What train does where memory or threads are refused, and the other programs where threads are: status 1 and a line
# that says what to do, never an abort.
#
#   memory_limits_test.sh PROGRAM...     train, freeze, evaluate and predict
set -uo pipefail

# Copied to where any user can start it.
work=$(mktemp -d /tmp/bitgrad_limits.XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
for program in "$@"; do cp -L "$program" "$work/"; done
cd "$work" || exit 1
mkdir -m 777 runs
small=(--set=data.limit=2000 --set=data.validation_examples=500 --epochs=1 --threads=2)
failures=0

fail() {
  echo "FAIL: $*"
  failures=$((failures + 1))
}

# run COMMAND...: sets status; the output is in stdout and stderr.
run() {
  "$@" >stdout 2>stderr
  status=$?
}

# The name of a folder that does not exist yet.
new_folder() { mktemp -u runs/XXXXXX; }

# expect_error TEXT COMMAND...
expect_error() {
  local text=$1
  shift
  run "$@"
  [[ $status == 1 ]] || fail "status $status of $*: $(cat stderr)"
  [[ $(wc -l <stderr) == 1 ]] || fail "not one line on stderr of $*: $(cat stderr)"
  grep -qE -- "$text" stderr || fail "no '$text' in what $* says: $(cat stderr)"
}

# A model that no machine has memory for: refused before any of it is allocated, with the table.
parts='\(optimizer.s state [0-9.]+ GB, parameters [0-9.]+ GB, gradients [0-9.]+ GB\)'
expect_error "not enough memory: [0-9.]+ GB are needed $parts and " \
  ./train "${small[@]}" --set=model.mlp.hidden=1000000,1000000 --out="$(new_folder)"
grep -qE "GB +optimizer's state" stdout || fail "no table: $(cat stdout)"
grep -qE "MB +images \(in memory already\)" stdout || fail "no images in the table: $(cat stdout)"

# A step that the process may not have memory for, though the model fits.
expect_error 'a training step, gradients included [0-9.]+ GB.*2.05 GB of addresses \(ulimit -v\)' \
  bash -c "ulimit -v 2000000; exec ./train --set=model.mlp.hidden=2048,2048 --set=batch_size=50000 --epochs=1 \
    --threads=2 --out=$(new_folder)"
grep -qE "GB +a training step" stdout || fail "no table: $(cat stdout)"

# Whatever the limit: the run ends well, or with status 1 and a word about it.
ended_well=0 refused=0
for limit in 150000 200000 250000 300000 350000 400000 500000 700000 3000000; do
  (ulimit -v $limit; exec ./train --help) >/dev/null 2>&1 || continue
  run bash -c "ulimit -v $limit; exec ./train ${small[*]} --set=model.mlp.hidden=2048,2048 --out=$(new_folder)"
  case $status in
    0) ended_well=$((ended_well + 1)) ;;
    1)
      refused=$((refused + 1))
      grep -qE 'memory|threads|Cannot allocate|libgomp' stderr || fail "ulimit -v $limit: $(cat stderr)"
      ;;
    *) fail "ulimit -v $limit: status $status: $(cat stderr)" ;;
  esac
done
((ended_well > 0 && refused > 0)) || fail "limits: $ended_well runs ended well, $refused were refused"

# Threads. Root may have as many as it likes, so somebody else asks.
somebody=()
((EUID != 0)) || somebody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
folder=$(new_folder)
expect_error 'only [0-9]+ of [0-9]+ threads can be started \(Resource temporarily unavailable\); use fewer' \
  "${somebody[@]}" bash -c "ulimit -u 1; exec ./train ${small[*]} --out=$folder"
expect_error 'only [0-9]+ of [0-9]+ threads can be started' \
  bash -c "ulimit -s 8192; ulimit -v 1500000; exec ./train ${small[*]} --threads=1000 --out=$(new_folder)"

# The other programs. One thread is enough to freeze.
run ./train "${small[@]}" --out=runs/done
[[ $status == 0 ]] || fail "a run without limits: $(cat stderr)"
run "${somebody[@]}" bash -c "ulimit -u 1; exec ./freeze --checkpoint=runs/done --out=runs/model.bgm"
[[ $status == 0 ]] || fail "freeze with a single thread: status $status: $(cat stderr)"
expect_error 'only [0-9]+ of [0-9]+ threads can be started' \
  "${somebody[@]}" bash -c "ulimit -u 1; exec ./evaluate --checkpoint=runs/done"
expect_error 'only [0-9]+ of [0-9]+ threads can be started' \
  "${somebody[@]}" bash -c "ulimit -u 1; exec ./predict --model=runs/model.bgm"

[[ $failures == 0 ]] || { echo "$failures failures"; exit 1; }
