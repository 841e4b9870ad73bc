"""Tests of kernels that have one set of cases for all devices."""

load("//tools:cc.bzl", "bitgrad_cc_test")

def kernel_test(name):
    """The cases of NAME.cc on the CPU, on a GPU and on the emulator of one.

    NAME runs them on every instruction set of the machine's processor, NAME_cuda on a GPU (it skips with the reason
    where there is none), NAME_emulated on the emulator.

    Args:
      name: the test's name.
    """
    for suffix, deps in {
        "": [":on_cpu"],
        "_cuda": [":on_gpu"],
        "_emulated": [
            ":on_emulator",
            "//ops/cuda:emulated_backend",
        ],
    }.items():
        bitgrad_cc_test(
            name = name + suffix,
            size = "medium",
            srcs = [name + ".cc"],
            deps = deps + [
                ":kernel_testing",
                "//core:encoding",
                "//core:rng",
                "//ops/kernels",
                "//tests/reference",
                "@abseil//:abseil",
                "@googletest//:gtest_main",
            ],
        )
