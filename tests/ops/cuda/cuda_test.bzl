"""Tests of the GPU's kernels."""

load("//tools:cc.bzl", "bitgrad_cc_test")

def cuda_test(name, deps, gpu_deps = [], multiplies_bits = False, **kwargs):
    """NAME, which runs on a GPU and skips with the reason where there is none, and NAME_emulated, on the emulator.

    Args:
      name: the test's name.
      deps: as cc_test's.
      gpu_deps: what NAME alone needs, of targets that there are with CUDA only.
      multiplies_bits: also NAME_emulated_100, on the emulator of a GPU that has no products of bits.
      **kwargs: passed to cc_test.
    """
    bitgrad_cc_test(
        name = name,
        deps = deps + gpu_deps,
        **kwargs
    )
    bitgrad_cc_test(
        name = name + "_emulated",
        deps = deps + ["//ops/cuda:emulated_backend"],
        **kwargs
    )
    if multiplies_bits:
        bitgrad_cc_test(
            name = name + "_emulated_100",
            env = {"BITGRAD_EMULATED_CAPABILITY": "100"},
            deps = deps + ["//ops/cuda:emulated_backend"],
            **kwargs
        )
