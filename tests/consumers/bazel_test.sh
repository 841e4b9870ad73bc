#!/bin/bash
# A workspace of its own that depends on bitgrad is built and run. It builds all of bitgrad, but what needs nvcc, under
# names of its own, so the results of this checkout's build do not serve; they are kept in the cache that ./bazelw uses.
set -euo pipefail

# The checkout: what the test's files are links to.
checkout=$(dirname "$(dirname "$(dirname "$(readlink -f tests/consumers/bazel/WORKSPACE.template)")")")
checkout=$(dirname "$checkout")
[[ -f $checkout/WORKSPACE && -f $checkout/deps.bzl ]] || { echo "FAIL: '$checkout' is no checkout"; exit 1; }

project=$TEST_TMPDIR/my_project
mkdir -p "$project"
sed "s|{bitgrad}|$checkout|" tests/consumers/bazel/WORKSPACE.template >"$project/WORKSPACE"
cp -L tests/consumers/bazel/BUILD.template "$project/BUILD.bazel"
cp -L tests/consumers/{my_net.h,train_my_net.cc,run_my_net.cc} "$project/"

cd "$project"
export HOME=$TEST_TMPDIR
# The options that results depend on come with bitgrad's targets. Optimization is left out, to save time.
# --batch: no server stays behind.
options=(--define=cuda=off --define=optimize=off --spawn_strategy=local --incompatible_strict_action_env)
if [[ -n ${BITGRAD_TEST_DISK_CACHE:-} ]]; then options+=("--disk_cache=$BITGRAD_TEST_DISK_CACHE"); fi
bazel --batch --output_user_root="$TEST_TMPDIR/bazel" build "${options[@]}" //:train_my_net //:run_my_net

bazel-bin/train_my_net net.bgm
answers=$(bazel-bin/run_my_net net.bgm)
echo "$answers"
[[ $answers == "my_net: "* ]] || { echo "FAIL: the packed model did not run"; exit 1; }
