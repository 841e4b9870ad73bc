"""C++ targets of bitgrad: cc_library, cc_binary and cc_test with what every one of them needs.

Headers are included as "bitgrad/FOLDER/NAME.h", here and in a user's workspace alike, so that they cannot be taken for
the user's own. Source files come with the options that bitgrad's results depend on, whatever .bazelrc is in force.
"""

# Results must be the same bits on every machine: no fused multiply-add unless written so (hence no -march=native
# either: Highway picks the instruction set at run time). Everything is built and linked with OpenMP, through
# core/parallel_for.h; it is the pool that oneDNN uses, too. Nobody reads the flags of floating-point exceptions: if an
# operation of a branch not taken may set one, GCC can turn branches into masks, which loops of quantizers need in order
# to vectorize. Values are the same.
_COPTS = [
    "-std=c++20",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp",
] + select({
    # Optimized in every compilation mode: a training framework built without optimization is of no use.
    str(Label("//tools:not_optimized")): [],
    "//conditions:default": ["-O3"],
})

_LINKOPTS = ["-fopenmp"]

# Where the links to a package's headers lie, below the package: headers for everybody, and a library's own.
PUBLIC_INCLUDE = "_include"
_PRIVATE_INCLUDE = "_include_private"

def _headers_impl(ctx):
    roots = []
    links = []
    package = ctx.label.package
    for root, headers in [(PUBLIC_INCLUDE, ctx.files.public), (_PRIVATE_INCLUDE, ctx.files.private)]:
        for header in headers:
            # Seen from another workspace, a short path begins with "../bitgrad/".
            name = header.short_path[header.short_path.index(package + "/") + len(package) + 1:]
            link = ctx.actions.declare_file("%s/bitgrad/%s/%s" % (root, package, name))
            ctx.actions.symlink(output = link, target_file = header)
            links.append(link)
        if headers:
            roots.append("/".join([
                part
                for part in [ctx.bin_dir.path, ctx.label.workspace_root, package, root]
                if part
            ]))
    return [
        DefaultInfo(files = depset(links)),
        CcInfo(compilation_context = cc_common.create_compilation_context(
            headers = depset(links),
            includes = depset(roots),
        )),
    ]

# One folder of links for each package, not one for each library as cc_library's include_prefix makes: the compiler
# looks for every header in every folder that comes before it.
_headers = rule(
    implementation = _headers_impl,
    attrs = {
        "private": attr.label_list(allow_files = True),
        "public": attr.label_list(allow_files = True),
    },
)

def _split(srcs):
    """Sources, and the headers among them; a select() counts as sources."""
    if type(srcs) != "list":
        return srcs, []
    headers = [src for src in srcs if src.endswith(".h")]
    return [src for src in srcs if not src.endswith(".h")], headers

def _with_headers(name, hdrs, private, deps, **kwargs):
    """deps, with a target for the headers where there are any."""
    if not hdrs and not private:
        return deps
    _headers(
        name = name + "_headers",
        public = hdrs,
        private = private,
        **kwargs
    )
    return deps + [":%s_headers" % name]

def bitgrad_cc_library(
        name,
        srcs = [],
        hdrs = [],
        deps = [],
        copts = [],
        linkopts = [],
        testonly = False,
        visibility = None,
        **kwargs):
    """cc_library. Headers among srcs are the library's own.

    Args:
      name: the target's name.
      srcs: sources and private headers.
      hdrs: public headers. No other library of the package may have the same.
      deps: as usual.
      copts: further options of the compiler.
      linkopts: further options of the linker.
      testonly: as usual.
      visibility: as usual.
      **kwargs: passed on.
    """
    srcs, private = _split(srcs)
    native.cc_library(
        name = name,
        srcs = srcs,
        deps = _with_headers(name, hdrs, private, deps, testonly = testonly),
        copts = _COPTS + copts,
        linkopts = _LINKOPTS + linkopts,
        # Never a shared library: Abseil comes as archives, and a copy of its flag registry in each of several shared
        # libraries would be several registries.
        linkstatic = True,
        testonly = testonly,
        visibility = visibility,
        **kwargs
    )

def bitgrad_cc_binary(name, deps = [], copts = [], linkopts = [], **kwargs):
    """cc_binary.

    Args:
      name: the target's name.
      deps: as usual.
      copts: further options of the compiler.
      linkopts: further options of the linker.
      **kwargs: passed on.
    """
    native.cc_binary(
        name = name,
        deps = deps,
        copts = _COPTS + copts,
        linkopts = _LINKOPTS + linkopts,
        **kwargs
    )

def bitgrad_cc_test(name, srcs, deps = [], copts = [], linkopts = [], **kwargs):
    """cc_test.

    Args:
      name: the target's name.
      srcs: sources and headers of the test's own.
      deps: as usual.
      copts: further options of the compiler.
      linkopts: further options of the linker.
      **kwargs: passed on.
    """
    srcs, private = _split(srcs)
    native.cc_test(
        name = name,
        srcs = srcs,
        deps = _with_headers(name, [], private, deps, testonly = True),
        copts = _COPTS + copts,
        linkopts = _LINKOPTS + linkopts,
        linkstatic = True,
        **kwargs
    )
