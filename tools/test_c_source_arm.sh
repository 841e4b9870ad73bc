#!/bin/bash
# Builds the C code of a packed model for bare-metal Arm microcontrollers and replays its golden vectors under QEMU.
# Prints the bytes of code and data of each build. Fails if a result differs. It says nothing about speed.
#
#   tools/test_c_source_arm.sh MODEL.bgm [C_SOURCE]      C_SOURCE: the program //export:c_source; default: Bazel's
#
# Cortex-M4F and Cortex-M7 run in qemu-arm (user mode) and, where the net fits into the board's memory, on a board of
# qemu-system-arm (mps2-an386, a Cortex-M4), with semihosting. Missing Debian packages are installed, which needs root.
set -euo pipefail

packages=(gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-user qemu-system-arm)

(($# >= 1)) || { echo "usage: test_c_source_arm.sh MODEL.bgm [C_SOURCE]" >&2; exit 1; }
model=$(readlink -f -- "$1")
c_source=${2:+$(readlink -f -- "$2")}
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
if ((${#missing[@]} > 0)); then
  echo "test_c_source_arm: installing ${missing[*]}" >&2
  if ((EUID != 0)); then
    echo "test_c_source_arm: this needs root; run: apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q install --no-install-recommends -y "${missing[@]}"
fi

if [[ -z $c_source ]]; then
  ./bazelw build //export:c_source
  c_source=$PWD/bazel-bin/export/c_source
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$c_source" --model="$model" --out="$out"

# The board: 4 MiB of code from address 0 on, 4 MiB of data from 0x20000000 on. Its vector table is the first two words,
# the stack's end and newlib's entry point.
cat >"$out/board.ld" <<'END'
MEMORY {
  code (rx) : ORIGIN = 0x00000000, LENGTH = 4M
  data (rwx) : ORIGIN = 0x20000000, LENGTH = 4M
}
ENTRY(start)
SECTIONS {
  .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) KEEP(*(.init)) KEEP(*(.fini)) . = ALIGN(8); } > code
  .ARM.exidx : { *(.ARM.exidx*) } > code
  .data : { *(.data*) . = ALIGN(8); } > data
  .bss (NOLOAD) : { __bss_start__ = .; *(.bss*) *(COMMON) . = ALIGN(8); __bss_end__ = .; } > data
  end = .;
  __stack = ORIGIN(data) + LENGTH(data);
}
END
cat >"$out/board.c" <<'END'
#include <stdint.h>

extern uint32_t __stack, __bss_start__, __bss_end__;
extern int main(void);
extern void exit(int);
extern void initialise_monitor_handles(void);

void start(void) {
  uint32_t *word;
  *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20; /* the floating-point unit, before any code may use it */
  for (word = &__bss_start__; word < &__bss_end__; ++word) *word = 0;
  initialise_monitor_handles();
  exit(main());
}

__attribute__((section(".vectors"), used)) static void *const vectors[2] = {&__stack, (void *)start};
END

failures=0
# check NAME COMMAND...: the test's line, or FAILED.
check() {
  local name=$1
  shift
  if timeout 1200 "$@" >"$out/log" 2>&1; then
    echo "PASSED $name: $(tail -n 1 "$out/log")"
  else
    tail -n 5 "$out/log"
    echo "FAILED $name"
    failures=$((failures + 1))
  fi
}

strict=(-std=c99 -Wall -Wextra -Werror -pedantic -O2)
build() { arm-none-eabi-gcc "${cpu[@]}" "${strict[@]}" "$@" "$out/net.c" "$out/net_test.c"; }

for core in cortex-m4 cortex-m7; do
  cpu=(-mthumb "-mcpu=$core" -mfloat-abi=hard)
  [[ $core == cortex-m4 ]] && cpu+=(-mfpu=fpv4-sp-d16) || cpu+=(-mfpu=fpv5-d16)
  arm-none-eabi-gcc "${cpu[@]}" "${strict[@]}" -c "$out/net.c" -o "$out/net.o"
  read -r text data bss _ < <(arm-none-eabi-size "$out/net.o" | tail -n 1)
  constants=$(sed -n 's/^#define NET_FLASH_BYTES //p' "$out/net.h")
  echo "$core: code=$((text - constants)) constants=$constants data=$data bss=$bss"
  build --specs=rdimon.specs -o "$out/net_$core"
  # User mode has neither the M profile nor its addresses; a program of Thumb-2 runs in it on any core.
  check "$core, qemu-arm" qemu-arm -cpu max "$out/net_$core"
done

cpu=(-mthumb -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16)
# board.c writes to addresses, which no standard knows.
arm-none-eabi-gcc "${cpu[@]}" -std=c99 -O2 -c "$out/board.c" -o "$out/board.o"
if build --specs=rdimon.specs -nostartfiles "$out/board.o" -T "$out/board.ld" -o "$out/net_board" 2>"$out/link.log"; then
  check "mps2-an386, qemu-system-arm" qemu-system-arm -M mps2-an386 -nographic -monitor none -serial none \
    -semihosting-config enable=on,target=native -kernel "$out/net_board"
else
  grep -q 'overflowed' "$out/link.log" || { cat "$out/link.log"; exit 1; }
  echo "SKIPPED mps2-an386: the net, its golden vectors and its memory do not fit into 4 MiB"
fi
((failures == 0)) || { echo "test_c_source_arm: $failures failed" >&2; exit 1; }
