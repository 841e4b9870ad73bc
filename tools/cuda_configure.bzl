"""Finds the CUDA toolkit, which may be absent.

Makes a repository (usually @local_cuda) with
  :cuda_found  for select(): true when a toolkit was found and --define=cuda=off was not given;
  :cudart      the CUDA runtime, headers and static library; empty when absent;
  :cublas_path where the toolkit's cuBLASLt is found by dlopen(); empty when absent;
  config.bzl   CUDA_FOUND, CUDA_PATH, NVCC, CUDA_VERSION, for tools/cuda.bzl.
"""

_BUILD = """package(default_visibility = ["//visibility:public"])

load(":cuda_setting.bzl", "cuda_setting")

# "present" or "absent", as found when this repository was made.
cuda_setting(
    name = "toolkit",
    build_setting_default = "{state}",
)

config_setting(
    name = "toolkit_present",
    flag_values = {{":toolkit": "present"}},
)

config_setting(
    name = "never",
    flag_values = {{":toolkit": "never"}},
)

config_setting(
    name = "turned_off",
    define_values = {{"cuda": "off"}},
)

alias(
    name = "cuda_found",
    actual = select({{
        ":turned_off": ":never",
        "//conditions:default": ":toolkit_present",
    }}),
)

cc_library(
    name = "headers",
{headers})

cc_library(
    name = "cudart",
{cudart})

cc_library(
    name = "cublas_path",
{cublas})
"""

def _find(repository_ctx):
    """The toolkit's directory as a string, or None."""
    candidates = []
    for variable in ["CUDA_PATH", "CUDA_HOME"]:
        if repository_ctx.os.environ.get(variable):
            candidates.append(repository_ctx.os.environ[variable])
    nvcc = repository_ctx.which("nvcc")
    if nvcc:
        # The path may be a link (one of Debian's alternatives, say); the toolkit is where it leads.
        candidates.append(str(nvcc.realpath.dirname.dirname))
    candidates.append("/usr/local/cuda")
    for candidate in candidates:
        path = repository_ctx.path(candidate)
        if path.get_child("bin").get_child("nvcc").exists and _library_dir(repository_ctx, path):
            return path
    return None

def _library_dir(repository_ctx, cuda):
    """Where the toolkit's libcudart_static.a lies, or None."""
    for directory in ["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"]:
        path = repository_ctx.path("%s/%s" % (cuda, directory))
        if path.get_child("libcudart_static.a").exists:
            return path
    return None

def _cuda_configure_impl(repository_ctx):
    cuda = _find(repository_ctx)
    version = ""
    headers = ""
    cudart = ""
    cublas = ""
    if cuda:
        result = repository_ctx.execute([str(cuda.get_child("bin").get_child("nvcc")), "--version"])
        if result.return_code != 0:
            # Stops here, rather than build something other than what the user expects.
            fail("%s/bin/nvcc does not run: %s%s" % (cuda, result.stdout, result.stderr))
        version = result.stdout.strip().split("\n")[-1]

        # Links to the toolkit, which make its headers part of this repository, so that Bazel accepts them as declared.
        repository_ctx.symlink(cuda.get_child("include"), "include")
        library_dir = _library_dir(repository_ctx, cuda)
        repository_ctx.symlink(library_dir.get_child("libcudart_static.a"), "lib/libcudart_static.a")
        headers = """    hdrs = glob(["include/**"]),
    includes = ["include"],
"""
        cudart = """    srcs = ["lib/libcudart_static.a"],
    linkopts = [
        "-ldl",
        "-lrt",
        "-lpthread",
    ],
    deps = [":headers"],
"""
        if library_dir.get_child("libcublasLt.so").exists:
            # cuBLASLt is loaded when it is needed: it has half a gigabyte, and a run on the CPU does not touch it.
            cublas = """    linkopts = [
        "-Wl,-rpath,{0}",
        "-ldl",
    ],
    deps = [":headers"],
""".format(library_dir.realpath)
    repository_ctx.symlink(Label("//tools:cuda_setting.bzl"), "cuda_setting.bzl")
    repository_ctx.file("BUILD.bazel", _BUILD.format(
        state = "present" if cuda else "absent",
        headers = headers,
        cudart = cudart,
        cublas = cublas,
    ), executable = False)
    repository_ctx.file("config.bzl", "CUDA_FOUND = %r\nCUDA_PATH = %r\nNVCC = %r\nCUDA_VERSION = %r\n" % (
        cuda != None,
        str(cuda) if cuda else "",
        "%s/bin/nvcc" % cuda if cuda else "",
        version,
    ), executable = False)

cuda_configure = repository_rule(
    implementation = _cuda_configure_impl,
    environ = ["CUDA_PATH", "CUDA_HOME", "PATH"],
    configure = True,
    local = True,
)
