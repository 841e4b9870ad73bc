"""Tests of the GPU's kernels."""

def cuda_test(name, deps, **kwargs):
    """NAME, which runs on a GPU and skips with the reason where there is none, and NAME_emulated, on the emulator."""
    native.cc_test(
        name = name,
        deps = deps,
        **kwargs
    )
    native.cc_test(
        name = name + "_emulated",
        deps = deps + ["//ops/cuda:emulated_backend"],
        **kwargs
    )
