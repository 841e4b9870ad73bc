"""Tests of what runs on every device."""

load("//tools:cc.bzl", "bitgrad_cc_test")

def device_test(name, deps, filter = "*", **kwargs):
    """NAME, on the CPU, and for the tests of `filter` NAME_cuda, which skips without a GPU, and NAME_emulated, on the emulator.

    Args:
      name: the test's name.
      deps: of the test.
      filter: which of its tests follow TestDevice() (test_device.h), as --gtest_filter has it.
      **kwargs: passed on.
    """
    bitgrad_cc_test(
        name = name,
        deps = deps,
        **kwargs
    )
    for variant, more in {
        "cuda": [],
        "emulated": ["//ops/cuda:emulated_backend"],
    }.items():
        bitgrad_cc_test(
            name = name + "_" + variant,
            args = ["--gtest_filter=" + filter],
            env = {"BITGRAD_TEST_DEVICE": "cuda"},
            deps = deps + more,
            **kwargs
        )
