#!/bin/bash
# Builds the C code of a packed model for Arm, and replays its golden vectors under QEMU: on bare-metal boards with a
# Cortex-M4F and a Cortex-M7 (qemu-system-arm, semihosting), and with NEON (qemu-arm). Prints the bytes of code and data
# for the microcontrollers. Fails if a result differs. It says nothing about speed.
#
#   tools/test_c_source_arm.sh MODEL.bgm [C_SOURCE]      C_SOURCE: the program //export:c_source; default: Bazel's
#
# Missing Debian packages are installed, which needs root.
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

/* What newlib calls before and after main(), beside constructors, of which C has none. */
void _init(void) {}
void _fini(void) {}

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

# Microcontrollers: a board for each core. board.c writes to addresses, which no standard knows, so -pedantic is not for
# it.
for core in cortex-m4 cortex-m7; do
  cpu=(-mthumb "-mcpu=$core" -mfloat-abi=hard)
  case $core in
    cortex-m4) cpu+=(-mfpu=fpv4-sp-d16) board=mps2-an386 ;;
    cortex-m7) cpu+=(-mfpu=fpv5-d16) board=mps2-an500 ;;
  esac
  arm-none-eabi-gcc "${cpu[@]}" "${strict[@]}" -c "$out/net.c" -o "$out/net.o"
  read -r text data bss _ < <(arm-none-eabi-size "$out/net.o" | tail -n 1)
  constants=$(sed -n 's/^#define NET_FLASH_BYTES //p' "$out/net.h")
  echo "$core: code=$((text - constants)) constants=$constants data=$data bss=$bss"
  arm-none-eabi-gcc "${cpu[@]}" -std=c99 -O2 -c "$out/board.c" -o "$out/board.o"
  if build --specs=rdimon.specs -nostartfiles "$out/board.o" -T "$out/board.ld" -o "$out/net_board" 2>"$out/link.log"
  then
    check "$core on $board, qemu-system-arm" qemu-system-arm -M "$board" -nographic -monitor none -serial none \
      -semihosting-config enable=on,target=native -kernel "$out/net_board"
  else
    grep -q overflowed "$out/link.log" || { cat "$out/link.log"; exit 1; }
    echo "SKIPPED $core: the net with its golden vectors and its memory does not fit into 4 MiB of each"
  fi
done

# The kernels that use NEON, on a larger core.
cpu=(-marm -mcpu=cortex-a7 -mfloat-abi=hard -mfpu=neon-vfpv4)
build --specs=rdimon.specs -o "$out/net_neon"
check "cortex-a7 with NEON, qemu-arm" qemu-arm -cpu cortex-a7 "$out/net_neon"
((failures == 0)) || { echo "test_c_source_arm: $failures failed" >&2; exit 1; }
