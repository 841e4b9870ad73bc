"""Tests of kernels that have one set of cases for all devices."""

load("//tools:cc.bzl", "bitgrad_cc_test")

def kernel_test(name, deps = [], multiplies_bits = False):
    """The cases of NAME.cc on the CPU, on a GPU and on the emulator of one.

    NAME runs them on every instruction set of the machine's processor, NAME_cuda on a GPU (it skips with the reason
    where there is none), NAME_emulated on the emulator.

    Args:
      name: the test's name.
      deps: what the cases depend on beyond the harness.
      multiplies_bits: also makes NAME_emulated_100, for the emulator of a GPU without products of bits.
    """
    emulator = [
        ":on_emulator",
        "//ops/cuda:emulated_backend",
    ]
    places = {
        "": [":on_cpu"],
        "_cuda": [":on_gpu"],
        "_emulated": emulator,
    }
    if multiplies_bits:
        places["_emulated_100"] = emulator
    for suffix, place in places.items():
        bitgrad_cc_test(
            name = name + suffix,
            size = "medium",
            # Products of bits as bytes take the emulator minutes.
            timeout = "long" if suffix == "_emulated_100" else "moderate",
            srcs = [name + ".cc"],
            env = {"BITGRAD_EMULATED_CAPABILITY": "100"} if suffix == "_emulated_100" else {},
            deps = deps + place + [
                ":kernel_testing",
                "//core:encoding",
                "//core:rng",
                "//ops/kernels",
                "//tests/reference",
                "@abseil//:abseil",
                "@googletest//:gtest_main",
            ],
        )
