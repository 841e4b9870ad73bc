#!/bin/bash
# Installs bitgrad: headers, libraries, programs, a CMake package and pkg-config files.
#
#   ./bazelw run //:install -- --prefix=DIR
set -euo pipefail

fail() {
  echo "install: $1" >&2
  exit 1
}

readonly usage="./bazelw run //:install -- --prefix=DIR"
prefix=
for argument in "$@"; do
  case $argument in
    --prefix=?*) prefix=${argument#--prefix=} ;;
    --help)
      echo "Installs headers, libraries, programs, and the CMake and pkg-config packages below DIR: $usage"
      exit 0
      ;;
    *) fail "unknown argument '$argument'; use it as: $usage" ;;
  esac
done
[[ -n $prefix ]] || fail "where to? Use it as: $usage"
# Relative to where the user stands.
[[ $prefix == /* ]] || prefix=${BUILD_WORKING_DIRECTORY:-$PWD}/$prefix
mkdir -p -- "$prefix" || fail "cannot make the folder '$prefix'; choose another --prefix"
prefix=$(readlink -f -- "$prefix")

version=$(sed -n 's/.*kVersion\[\] = "\(.*\)";/\1/p' '{version_header}')
[[ -n $version ]] || fail "core/version.h has no version"

# install(1) replaces a file by a new one: a program that is running keeps the old one.
files=0
while IFS= read -r path && IFS= read -r source; do
  mode=644
  if [[ $path == bin/* ]]; then mode=755; fi
  install -D -m "$mode" -- "$source" "$prefix/$path" || fail "cannot write '$prefix/$path'"
  files=$((files + 1))
done <'{manifest}'
# The name that programs are linked by.
ln -sfn -- '{shared_name}' "$prefix/lib/libbitgrad_runtime.so" || fail "cannot write to '$prefix/lib'"

training_options=({training_options})
runtime_options=({runtime_options})
# Libraries of others that come as archives: where they really lie.
for archive in {other_archives}; do
  training_options+=("$(readlink -f -- "$archive")")
  runtime_options+=("$(readlink -f -- "$archive")")
done

# An option list as CMake has it.
cmake_list() {
  local IFS=';'
  echo "$*"
}

mkdir -p -- "$prefix/lib/cmake/bitgrad" "$prefix/lib/pkgconfig"
cat >"$prefix/lib/cmake/bitgrad/bitgradConfig.cmake" <<END
# find_package(bitgrad) gives
#   bitgrad::bitgrad   training, freezing and running
#   bitgrad::runtime   running packed models only
#   bitgrad::c_api     the same from C, by the shared library
get_filename_component(_bitgrad_prefix "\${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET bitgrad::runtime)
  foreach(_bitgrad_target runtime bitgrad)
    add_library(bitgrad::\${_bitgrad_target} STATIC IMPORTED)
    # A fused multiply-add in what headers compute would give other answers than the library's.
    set_target_properties(bitgrad::\${_bitgrad_target} PROPERTIES
      INTERFACE_INCLUDE_DIRECTORIES "\${_bitgrad_prefix}/include"
      INTERFACE_COMPILE_FEATURES cxx_std_20
      INTERFACE_COMPILE_OPTIONS "-ffp-contract=off;-fopenmp"
      INTERFACE_LINK_OPTIONS "-fopenmp")
  endforeach()
  add_library(bitgrad::c_api SHARED IMPORTED)
  set_target_properties(bitgrad::c_api PROPERTIES
    INTERFACE_INCLUDE_DIRECTORIES "\${_bitgrad_prefix}/include"
    IMPORTED_LOCATION "\${_bitgrad_prefix}/lib/{shared_name}"
    IMPORTED_SONAME "{shared_name}")
  set_target_properties(bitgrad::runtime PROPERTIES
    IMPORTED_LOCATION "\${_bitgrad_prefix}/lib/libbitgrad_runtime.a"
    INTERFACE_LINK_LIBRARIES "$(cmake_list "${runtime_options[@]}")")
  set_target_properties(bitgrad::bitgrad PROPERTIES
    IMPORTED_LOCATION "\${_bitgrad_prefix}/lib/libbitgrad.a"
    INTERFACE_LINK_LIBRARIES "bitgrad::runtime;$(cmake_list "${training_options[@]}")")
endif()
END
cat >"$prefix/lib/cmake/bitgrad/bitgradConfigVersion.cmake" <<END
set(PACKAGE_VERSION "$version")
if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
# Before 1.0 a minor version may break what was built for another.
string(REGEX MATCH "^[0-9]+\\\\.[0-9]+" _bitgrad_minor "\${PACKAGE_VERSION}")
string(REGEX MATCH "^[0-9]+\\\\.[0-9]+" _bitgrad_wanted "\${PACKAGE_FIND_VERSION}")
if((NOT _bitgrad_wanted OR _bitgrad_minor STREQUAL _bitgrad_wanted) AND
   NOT PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION)
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
END

# pkg_config NAME DESCRIPTION REQUIRES OPTION...
# The archive is named as such: -lbitgrad_runtime would be the shared library.
pkg_config() {
  cat >"$prefix/lib/pkgconfig/$1.pc" <<END
prefix=\${pcfiledir}/../..
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: $1
Description: $2
Version: $version
Requires: $3
Cflags: -isystem \${includedir} -std=c++20 -ffp-contract=off -fopenmp
Libs: -L\${libdir} -l:lib$1.a ${*:4} -fopenmp
END
}
pkg_config bitgrad_runtime "Runs neural networks on packed bits" "" "${runtime_options[@]}"
pkg_config bitgrad "Trains neural networks of few bits and runs them packed" "bitgrad_runtime" "${training_options[@]}"
cat >"$prefix/lib/pkgconfig/bitgrad_c_api.pc" <<END
prefix=\${pcfiledir}/../..
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: bitgrad_c_api
Description: Runs neural networks on packed bits, from C
Version: $version
Cflags: -isystem \${includedir}
Libs: -L\${libdir} -l:libbitgrad_runtime.so
END

echo "install: bitgrad $version, $files files below $prefix"
