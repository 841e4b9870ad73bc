"""Tests that run on every device."""

load("//tools:cc.bzl", "bitgrad_cc_test")

def device_test(name, deps, filter = "*", **kwargs):
    """Makes the test NAME, which runs on the CPU, and variants of it for a GPU.

    NAME_cuda runs the test cases that `filter` selects on a GPU and skips where there is none. NAME_emulated runs them
    on the emulator.

    Args:
      name: the test's name.
      deps: of the test.
      filter: selects the test cases that use TestDevice() (test_device.h), in the syntax of --gtest_filter.
      **kwargs: passed to bitgrad_cc_test.
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
