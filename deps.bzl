"""What bitgrad needs, as repositories of a workspace.

All third-party code comes from Debian's packages (bitgrad's ./bazelw installs them); nothing is downloaded.
"""

load("//tools:cuda_configure.bzl", "cuda_configure")
load("//tools:system.bzl", "shim_repository", "system_library")

# Repository -> a header that proves its presence, and the Debian package to name where it is absent.
_SYSTEM_LIBRARIES = {
    "abseil": ("absl/status/status.h", "libabsl-dev"),
    "benchmark": ("benchmark/benchmark.h", "libbenchmark-dev"),
    "boost_context": ("boost/context/fiber.hpp", "libboost-context-dev"),
    "eigen": ("eigen3/Eigen/Eigenvalues", "libeigen3-dev"),
    "googletest": ("gmock/gmock.h", "libgmock-dev"),
    "hdf5": ("hdf5/serial/hdf5.h", "libhdf5-dev"),
    "highway": ("hwy/highway.h", "libhwy-dev"),
    "jpeg": ("jpeglib.h", "libjpeg62-turbo-dev"),
    "matio": ("matio.h", "libmatio-dev"),
    "onednn": ("dnnl.h", "libdnnl-dev"),
    "onnx": ("onnx/onnx_pb.h", "libonnx-dev"),
    "png": ("png.h", "libpng-dev"),
    "protobuf": ("google/protobuf/message.h", "libprotobuf-dev"),
    "random123": ("Random123/philox.h", "librandom123-dev"),
    "zlib": ("zlib.h", "zlib1g-dev"),
}

# Bazel's own built-in rules ask for these repositories and would fetch them. Debian ships two; the others need only the
# few lines that are actually used.
_DEBIAN_RULES = {
    "rules_java": "/usr/share/bazel/rules/java",
    "rules_proto": "/usr/share/bazel/rules/proto",
}

_SHIMS = {
    # Debian's bazel-rules-cc is too new for its Bazel, which has these rules built in anyway.
    "rules_cc": {
        "BUILD": "",
        "cc/BUILD": "",
        "cc/defs.bzl": "\n".join(["%s = native.%s" % (rule, rule) for rule in [
            "cc_binary",
            "cc_import",
            "cc_library",
            "cc_proto_library",
            "cc_test",
            "cc_toolchain",
            "cc_toolchain_suite",
            "fdo_prefetch_hints",
            "fdo_profile",
            "objc_import",
            "objc_library",
        ]] + [""]),
    },
    # Every test names this tool, though only `bazel coverage` runs it.
    "remote_coverage_tools": {
        "BUILD": """filegroup(
    name = "coverage_report_generator",
    visibility = ["//visibility:public"],
)
""",
    },
}

def bitgrad_deps():
    """Makes the repositories that bitgrad needs, but those that the workspace has already.

    In a workspace of your own:

        local_repository(name = "bitgrad", path = "...")  # or git_repository(...)

        load("@bitgrad//:deps.bzl", "bitgrad_deps")

        bitgrad_deps()
    """
    for name, path in _DEBIAN_RULES.items():
        if not native.existing_rule(name):
            native.local_repository(name = name, path = path)
    for name, files in _SHIMS.items():
        if not native.existing_rule(name):
            shim_repository(name = name, files = files)
    for name, (header, package) in _SYSTEM_LIBRARIES.items():
        if not native.existing_rule(name):
            system_library(
                name = name,
                build_file = Label("//third_party:%s.BUILD" % name),
                header = header,
                package = package,
            )
    if not native.existing_rule("local_cuda"):
        cuda_configure(name = "local_cuda")
