"""Rules that compile CUDA sources."""

load("@local_cuda//:config.bzl", "CUDA_VERSION", "NVCC")
load("//tools:cc.bzl", "bitgrad_cc_library")

# Machine code for A100, RTX 40 / L4 and H100, and PTX that the driver compiles for later GPUs when a program starts.
# wgmma needs sm_90a (not sm_90).
CUDA_ARCHITECTURES = [
    "arch=compute_80,code=[sm_80,compute_80]",
    "arch=compute_89,code=sm_89",
    "arch=compute_90a,code=sm_90a",
]

def _cuda_object_impl(ctx):
    compilation = cc_common.merge_cc_infos(cc_infos = [dep[CcInfo] for dep in ctx.attr.deps]).compilation_context
    output = ctx.actions.declare_file(ctx.label.name + ".o")

    args = ctx.actions.args()
    args.add_all(["-std=c++20", "-O3", "-c", "-ccbin=/usr/bin/g++"])
    args.add_all(["-gencode=" + arch for arch in CUDA_ARCHITECTURES])

    # Lets kernels call constexpr functions, and lets lambdas be kernels' arguments.
    args.add_all(["--expt-relaxed-constexpr", "--extended-lambda"])

    # Without fused multiply-adds that the source does not ask for, results have the same bits as on the CPU.
    args.add("--fmad=false")

    # Every program and test is linked with all kernels. Compressed, they take a sixth of the space.
    args.add("--compress-mode=" + ("size" if ctx.attr.compressed else "none"))

    # Compiles for all architectures at the same time, as they are independent.
    args.add("--threads=0")
    args.add_all(["-Xcompiler", "-fopenmp,-fPIC,-ffp-contract=off,-Wall"])
    args.add("--Werror=all-warnings")

    # The same mode as for the C++ sources, so that assertions in headers agree.
    if ctx.var["COMPILATION_MODE"] == "opt":
        args.add("-DNDEBUG")
    elif ctx.var["COMPILATION_MODE"] == "dbg":
        args.add("-g")
    args.add_all(compilation.defines, format_each = "-D%s")
    args.add_all(compilation.quote_includes, format_each = "-I%s")
    args.add_all(compilation.includes, format_each = "-I%s")
    args.add_all(compilation.system_includes, before_each = "-isystem")
    args.add_all(ctx.attr.copts)
    args.add("-o", output)
    args.add(ctx.file.src)

    ctx.actions.run(
        executable = NVCC,
        arguments = [args],
        inputs = depset([ctx.file.src], transitive = [compilation.headers]),
        outputs = [output],
        env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            # nvcc does not read this variable. It keeps results of different toolkits apart in Bazel's cache.
            "BITGRAD_CUDA_VERSION": CUDA_VERSION,
        },
        use_default_shell_env = False,
        mnemonic = "CudaCompile",
        progress_message = "Compiling %s" % ctx.file.src.short_path,
    )

    # Also available as `data` of a test that reads the object file.
    return [DefaultInfo(files = depset([output]), data_runfiles = ctx.runfiles(files = [output]))]

_cuda_object = rule(
    implementation = _cuda_object_impl,
    attrs = {
        "compressed": attr.bool(default = True),
        "copts": attr.string_list(),
        "deps": attr.label_list(providers = [CcInfo]),
        "src": attr.label(mandatory = True, allow_single_file = [".cu"]),
    },
)

def cuda_object(name, src, deps = [], copts = [], compressed = True, **kwargs):
    """Compiles one .cu file with nvcc into NAME.o, for a cc_library to list in srcs.

        cuda_object(name = "gemm_cu", src = "gemm.cu", deps = [":gemm_header", "//core:bit_matrix"])

        bitgrad_cc_library(
            name = "gemm",
            srcs = [":gemm_cu"],
            deps = [":gemm_header", "@local_cuda//:cudart"],
        )

    Where there is no CUDA (see @local_cuda//:cuda_found) these targets are incompatible: `bazel build //...` skips them
    and whatever depends on them. Code that is built with and without CUDA selects between them and a stub with
    select({"@local_cuda//:cuda_found": ..., "//conditions:default": ...}).

    Args:
      name: the target's name.
      src: the .cu file.
      deps: cc_library targets whose headers it includes; they do not become part of the object.
      copts: more options for nvcc (-lineinfo for profilers, say).
      compressed: whether to compress the machine code. A test can only read it if it is not compressed.
      **kwargs: passed to the rule.
    """
    _cuda_object(
        name = name,
        src = src,
        copts = copts,
        compressed = compressed,
        deps = deps + ["@local_cuda//:headers"],
        target_compatible_with = select({
            "@local_cuda//:cuda_found": [],
            "//conditions:default": [str(Label("//tools:no_platform"))],
        }),
        **kwargs
    )

def cuda_kernels(name, srcs, deps):
    """Makes the library NAME of .cu files for the GPU, and NAME_emulated of the same files for the tests' emulator.

    Args:
      name: the library's name.
      srcs: .cu files.
      deps: cc_library targets whose headers they include.
    """
    for src in srcs:
        stem = src[:-len(".cu")]
        cuda_object(
            name = stem + "_cu",
            src = src,
            deps = deps,
        )

        # A .cc file that includes the .cu file, for gcc.
        native.genrule(
            name = stem + "_emulated",
            outs = [stem + "_emulated.cc"],
            cmd = "echo '#include \"%s/%s\"' > $@" % (native.package_name(), src),
        )
    bitgrad_cc_library(
        name = name,
        srcs = [":%s_cu" % src[:-len(".cu")] for src in srcs],
        deps = deps + ["@local_cuda//:cudart"],
        target_compatible_with = select({
            "@local_cuda//:cuda_found": [],
            "//conditions:default": [str(Label("//tools:no_platform"))],
        }),
    )
    bitgrad_cc_library(
        name = name + "_emulated",
        testonly = True,
        srcs = [":%s_emulated" % src[:-len(".cu")] for src in srcs],
        textual_hdrs = srcs,
        # gcc does not know nvcc's pragmas, and takes long to optimize these templates, from which tests hardly gain.
        copts = [
            "-Wno-unknown-pragmas",
            "-O1",
        ],
        defines = ["BITGRAD_CUDA_EMULATED"],
        deps = deps + [str(Label("//ops/cuda/emulator"))],
    )
