"""Tests of the GPU's kernels."""

load("//tools:cc.bzl", "bitgrad_cc_test")

def cuda_test(name, deps, gpu_deps = [], multiplies_bits = False, **kwargs):
    """Makes the test NAME, which runs on a GPU (it skips without one), and NAME_emulated, which runs on the emulator.

    Args:
      name: the test's name.
      deps: as cc_test's.
      gpu_deps: dependencies of NAME alone; these targets exist only with CUDA.
      multiplies_bits: also makes NAME_emulated_100, for the emulator of a GPU without products of bits.
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
