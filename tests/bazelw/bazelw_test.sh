#!/bin/bash
# ./bazelw in a folder with a space in its path, without a home that can be written, and without packages: it works, or
# it says in one line what to do. A program that prints its arguments stands in for Bazel.
set -euo pipefail

fail() {
  echo "FAIL: $1"
  exit 1
}

work=$TEST_TMPDIR/work
mkdir -p "$work/checkout" "$work/with space" "$work/bin" "$work/bare" "$work/home"
cp -L bazelw "$work/checkout/bazelw"
cp -L bazelw "$work/with space/bazelw"

cat >"$work/bin/bazel" <<'END'
#!/bin/bash
printf '%s\n' "$@"
END
# Every package that is asked for is there.
cat >"$work/bin/dpkg-query" <<'END'
#!/bin/bash
for package in "${@:3}"; do echo "installed $package 1.0"; done
END
printf '#!/bin/bash\n' >"$work/bare/dpkg-query"
cp "$work/bin/bazel" "$work/bare/bazel"
chmod +x "$work"/bin/* "$work"/bare/*

# call BIN [NAME=VALUE]... PROGRAM ARGUMENT...: as a user does, to whom none of the test's own variables are known.
# Sets status; the output is in $work/out and $work/err.
call() {
  local bin=$1
  shift
  status=0
  env -i PATH="$work/$bin:/usr/bin:/bin" HOME="$work/home" "$@" >"$work/out" 2>"$work/err" || status=$?
}

# expect_line TEXT: it failed with one line on stderr that has the text in it.
expect_line() {
  [[ $status == 1 ]] || fail "status $status instead of 1: $(cat "$work/err")"
  [[ $(wc -l <"$work/err") == 1 ]] || fail "not one line: $(cat "$work/err")"
  grep -qF -- "$1" "$work/err" || fail "no '$1' in: $(cat "$work/err")"
}

call bin "$work/checkout/bazelw" build //:bitgrad
[[ $status == 0 ]] || fail "it does not work at all: $(cat "$work/err")"
grep -qFx -- "--disk_cache=$work/home/.cache/bitgrad/bazel-disk" "$work/out" || fail "no cache: $(cat "$work/out")"
if grep -q -- --output_user_root "$work/out"; then fail "Bazel's own place is not used: $(cat "$work/out")"; fi

call bin "$work/with space/bazelw" build //:bitgrad
expect_line "move this checkout: '$work/with space'"

# A home in which nobody can make a folder, whatever the user's rights.
call bin HOME=/dev/null/home "$work/checkout/bazelw" build //:bitgrad
expect_line "cannot write to '/dev/null/home/.cache/bitgrad'; set BITGRAD_CACHE"
call bin HOME=/dev/null/home BITGRAD_CACHE="$work/a cache" "$work/checkout/bazelw" build //:bitgrad
[[ $status == 0 ]] || fail "with BITGRAD_CACHE: $(cat "$work/err")"
[[ $(head -n 1 "$work/out") == "--output_user_root=$work/a cache/bazel-root" ]] ||
  fail "Bazel keeps its files elsewhere: $(cat "$work/out")"
grep -qFx -- "--disk_cache=$work/a cache/bazel-disk" "$work/out" || fail "no cache: $(cat "$work/out")"

# Nothing is installed, and nothing may be.
call bare BITGRAD_NO_INSTALL=1 "$work/checkout/bazelw" build //:bitgrad
[[ $status == 1 ]] || fail "status $status without packages"
grep -q "sudo apt-get update && sudo apt-get install .*bazel-bootstrap" "$work/err" ||
  fail "it does not say how to install what is missing: $(cat "$work/err")"
[[ ! -s $work/out ]] || fail "Bazel was called without its packages"
