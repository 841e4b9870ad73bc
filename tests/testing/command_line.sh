# What tests of programs as users call them share. They source it first, from the folder in which Bazel starts a test:
#
#   source tests/testing/command_line.sh
#
# It goes to an empty folder, where stdout and stderr are what the last command has said. A test ends with `finish`.

failures=0

fail() {
  echo "FAIL: $*"
  failures=$((failures + 1))
}

# What a test checks beside that after a command that has to fail. Tests that have something define it anew.
after_error() { :; }

# expect_error TEXT COMMAND...: status 1, nothing but one line on stderr, TEXT in it, and what after_error checks.
expect_error() {
  local text=$1
  shift
  "$@" >stdout 2>stderr
  local status=$?
  [[ $status == 1 ]] || fail "status $status of $*"
  [[ $(wc -l <stderr) == 1 ]] || fail "not one line on stderr of $*: $(cat stderr)"
  grep -qF -- "$text" stderr || fail "no '$text' in what $* says: $(cat stderr)"
  after_error "$@"
}

# expect_last_line REGEX COMMAND...: status 0, nothing on stderr.
expect_last_line() {
  local regex=$1
  shift
  "$@" >stdout 2>stderr || fail "status $? of $*: $(cat stderr)"
  [[ ! -s stderr ]] || fail "$* says on stderr: $(cat stderr)"
  tail -n 1 stdout | grep -qE "^$regex\$" || fail "last line of $*: $(tail -n 1 stdout)"
}

finish() {
  [[ $failures == 0 ]] || { echo "$failures failures"; exit 1; }
  exit 0
}

cd "$TEST_TMPDIR" || exit 1
