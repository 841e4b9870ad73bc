"""Repositories for libraries that are installed on the machine."""

def _shim_repository_impl(repository_ctx):
    for path, content in repository_ctx.attr.files.items():
        repository_ctx.file(path, content, executable = False)

shim_repository = repository_rule(
    implementation = _shim_repository_impl,
    attrs = {"files": attr.string_dict(mandatory = True, doc = "Path -> content.")},
    doc = "A repository made of the given files, for stand-ins of a few lines.",
)

def _system_library_impl(repository_ctx):
    if not repository_ctx.path("/usr/include/" + repository_ctx.attr.header).exists:
        fail("/usr/include/%s is missing: install the package %s (./bazelw does so)." % (
            repository_ctx.attr.header,
            repository_ctx.attr.package,
        ))
    repository_ctx.symlink(repository_ctx.attr.build_file, "BUILD.bazel")
    repository_ctx.symlink(Label("//third_party:static_bundle.bzl"), "static_bundle.bzl")

# The headers are where the compiler finds them by itself, so a BUILD file only has to say how to link. (With
# new_local_repository, a missing package would give an error about an unreadable path instead of the package's name.)
system_library = repository_rule(
    implementation = _system_library_impl,
    attrs = {
        "build_file": attr.label(mandatory = True, allow_single_file = True),
        "header": attr.string(
            mandatory = True,
            doc = "A header under /usr/include that proves the library's presence.",
        ),
        "package": attr.string(mandatory = True, doc = "The Debian package to name when it is absent."),
    },
    configure = True,
    local = True,
    doc = "A library installed as a system package.",
)
