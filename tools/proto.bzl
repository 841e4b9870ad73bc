"""Rules for Protocol Buffers, which use the system's protoc."""

load("//tools:cc.bzl", "bitgrad_cc_library")

def bitgrad_proto_library(name, src, deps = [], visibility = None, **kwargs):
    """A cc_library with the C++ code for one .proto file.

    For proto/recipe.proto the header is included as "bitgrad/proto/recipe.pb.h"; other .proto files import it as
    "bitgrad/proto/recipe.proto".

    Args:
      name: the cc_library's name.
      src: the .proto file, in this package.
      deps: labels of the bitgrad_proto_library targets that src imports.
      visibility: as usual.
      **kwargs: passed to cc_library.
    """
    if not src.endswith(".proto"):
        fail("bitgrad_proto_library %s: src must be a .proto file, not %s" % (name, src))
    stem = src[:-len(".proto")]

    # protoc also reads the imported files, so they are inputs, too: each library has a filegroup with its own sources
    # and those that it imports.
    native.filegroup(
        name = name + "_sources",
        srcs = [src] + [_sources_of(dep) for dep in deps],
        visibility = visibility,
    )
    native.genrule(
        name = name + "_generate",
        srcs = [src, ":" + name + "_sources"],
        outs = [stem + ".pb.h", stem + ".pb.cc"],
        # protoc sees the root of the sources ("./", or "./external/NAME/./" in another workspace) as "bitgrad".
        # Generated headers do not pass our warning flags; the pragma exempts them where they are included.
        cmd = """
            source=$(location {src})
            generated=$$(mktemp -d)
            /usr/bin/protoc -Ibitgrad=./$${{source%{package}/{src}}}. --cpp_out=$$generated ./$$source
            sed '1i #pragma GCC system_header' $$generated/bitgrad/{package}/{stem}.pb.h >$(location {stem}.pb.h)
            mv $$generated/bitgrad/{package}/{stem}.pb.cc $(location {stem}.pb.cc)
            rm -r $$generated
        """.format(
            package = native.package_name(),
            src = src,
            stem = stem,
        ),
        message = "Generating C++ for",
        visibility = ["//visibility:private"],
    )
    bitgrad_cc_library(
        name = name,
        srcs = [stem + ".pb.cc"],
        hdrs = [stem + ".pb.h"],
        copts = ["-w"],
        visibility = visibility,
        deps = deps + ["@protobuf//:protobuf"],
        **kwargs
    )

def _sources_of(label):
    """The filegroup beside a library: "//proto:recipe" -> "//proto:recipe_sources"."""
    if ":" not in label and label.startswith("//"):
        return "%s:%s_sources" % (label, label.split("/")[-1])
    return label + "_sources"
