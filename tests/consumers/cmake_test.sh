#!/bin/bash
# bitgrad is installed into an empty folder, and projects that know only that folder are built and run: one of CMake,
# and one of a compiler and pkg-config. The installed programs run as well.
set -euo pipefail

fail() {
  echo "FAIL: $1"
  exit 1
}

prefix=$TEST_TMPDIR/installed
./install.sh --prefix="$prefix"
cp -rL tests/consumers "$TEST_TMPDIR/source"
cp -L tests/consumers/cmake/CMakeLists.txt "$TEST_TMPDIR/source/"
build=$TEST_TMPDIR/build

cmake -S "$TEST_TMPDIR/source" -B "$build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release
cmake --build "$build" --parallel 2
"$build/train_my_net" "$build/net.bgm"
answers=$("$build/run_my_net" "$build/net.bgm")
echo "$answers"
[[ $answers == "my_net: "* ]] || fail "the packed model did not run"

# The same from C, by the shared library, and from Python.
[[ $("$build/run_my_net_in_c" "$build/net.bgm") == "$answers" ]] || fail "the program in C answers otherwise"
if command -v python3 >/dev/null; then
  in_python=$(python3 "$TEST_TMPDIR/source/run_my_net.py" "$prefix/lib/libbitgrad_runtime.so" "$build/net.bgm")
  [[ $in_python == "$answers" ]] || fail "Python answers otherwise: '$in_python'"
else
  echo "python3 is not here: run_my_net.py was not run"
fi

# A version that is not there is refused.
sed 's/find_package(bitgrad REQUIRED)/find_package(bitgrad 77.0 REQUIRED)/' -i "$TEST_TMPDIR/source/CMakeLists.txt"
if cmake -S "$TEST_TMPDIR/source" -B "$build.77" -DCMAKE_PREFIX_PATH="$prefix" 2>/dev/null; then
  fail "version 77 was found"
fi

export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
read -ra flags < <(pkg-config --cflags --libs bitgrad_runtime)
g++ -O1 "$TEST_TMPDIR/source/run_my_net.cc" "${flags[@]}" -o "$build/run_by_pkg_config"
[[ $("$build/run_by_pkg_config" "$build/net.bgm") == "$answers" ]] || fail "pkg-config's program answers otherwise"
read -ra flags < <(pkg-config --cflags --libs bitgrad_c_api)
gcc -std=c99 -pedantic -Werror "$TEST_TMPDIR/source/run_my_net.c" "${flags[@]}" -o "$build/run_in_c_by_pkg_config"
[[ $(LD_LIBRARY_PATH=$prefix/lib "$build/run_in_c_by_pkg_config" "$build/net.bgm") == "$answers" ]] ||
  fail "pkg-config's program in C answers otherwise"
# Every option of the other package is known to the linker.
read -ra flags < <(pkg-config --cflags --libs bitgrad)
echo 'int main() {}' >"$build/empty.cc"
g++ "$build/empty.cc" "${flags[@]}" -o "$build/empty"

"$prefix/bin/bitgrad-inspect" --model="$build/net.bgm" | grep -q fc1 || fail "the installed inspect says nothing of fc1"
# The zoo is in the programs, wherever they lie.
(cd / && "$prefix/bin/bitgrad-inspect" --model=zoo:mnist_bnn_mlp) | grep -q 'float_layers=0' ||
  fail "the installed inspect has no zoo"
# Nothing of the tape is in the runtime's library.
if nm -C "$prefix/lib/libbitgrad_runtime.a" 2>/dev/null | grep -q "T bitgrad::Tape::"; then
  fail "libbitgrad_runtime.a has the tape in it"
fi

# Wrong arguments: one line, and nothing written.
if output=$(./install.sh --prefx=/nowhere 2>&1); then fail "a misspelt flag was taken"; fi
[[ $output == *"--prefix=DIR"* ]] || fail "a misspelt flag: '$output'"
if output=$(./install.sh 2>&1); then fail "no prefix was taken"; fi
if output=$(./install.sh --prefix=/dev/null/here 2>&1); then fail "a prefix that cannot be was taken"; fi
