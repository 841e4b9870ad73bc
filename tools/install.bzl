"""The installed form: headers, libraries, programs, a CMake package and pkg-config files."""

load("//tools:cc.bzl", "PUBLIC_INCLUDE")

# Folders whose headers only bitgrad's own sources include.
_INTERNAL_FOLDERS = [
    "ops/cpu/",
    "ops/cuda/",
]

def _public_headers(info):
    """Installed path -> file, of what the libraries' users may include."""
    headers = {}
    for file in info.compilation_context.headers.to_list():
        root = "/%s/" % PUBLIC_INCLUDE
        if root not in file.path:
            continue
        name = file.path.split(root)[1]
        if not [folder for folder in _INTERNAL_FOLDERS if name.startswith("bitgrad/" + folder)]:
            headers["include/" + name] = file
    return headers

def _archives(info):
    """The static libraries of our own, those of others, and the linker's options, users before what they use."""
    own = []
    others = []
    options = []
    for linked in info.linking_context.linker_inputs.to_list():
        for library in linked.libraries:
            archive = library.pic_static_library or library.static_library
            if archive:
                # Seen from the workspace that this file is in, own labels have no repository of their own.
                (own if linked.owner.workspace_name == Label("//:bitgrad").workspace_name else others).append(archive)
        options += [flag for flag in linked.user_link_flags if flag != "-fopenmp"]
    return own, others, options

def _bitgrad_installation_impl(ctx):
    installed = {}
    libraries = {name: target for target, name in ctx.attr.libraries.items()}
    done = {}
    others = []
    options = {}

    # An archive goes to the first library that has it: what runs packed models is not in the other one again.
    for name in ["bitgrad_runtime", "bitgrad"]:
        target = libraries[name]
        installed.update(_public_headers(target[CcInfo]))
        own, others, options[name] = _archives(target[CcInfo])
        own = [archive for archive in own if archive not in done]
        done.update({archive: True for archive in own})
        merged = ctx.actions.declare_file("lib/lib%s.a" % name)
        ctx.actions.run_shell(
            inputs = own,
            outputs = [merged],
            # Of several members with the same name all are kept.
            command = "{ echo create %s; printf 'addlib %%s\\n' \"$@\"; echo save; echo end; } | ar -M" % merged.path,
            arguments = [archive.path for archive in own],
            mnemonic = "MergeArchives",
        )
        installed["lib/lib%s.a" % name] = merged
    installed["lib/" + ctx.attr.shared_name] = ctx.file.shared
    for target, name in ctx.attr.programs.items():
        installed["bin/" + name] = target[DefaultInfo].files_to_run.executable
    installed["share/doc/bitgrad/LICENSE"] = ctx.file.license

    # Two lines for each file: where it goes, and where it lies.
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest")
    ctx.actions.write(manifest, "".join([
        "%s\n%s\n" % (path, file.short_path)
        for path, file in installed.items()
    ]))
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.expand_template(
        template = ctx.file.script,
        output = script,
        is_executable = True,
        substitutions = {
            "{manifest}": manifest.short_path,
            "{shared_name}": ctx.attr.shared_name,
            "{version_header}": ctx.file.version.short_path,
            "{training_options}": " ".join(["'%s'" % option for option in options["bitgrad"]]),
            "{runtime_options}": " ".join(["'%s'" % option for option in options["bitgrad_runtime"]]),
            "{other_archives}": " ".join(["'%s'" % archive.short_path for archive in others]),
        },
    )
    return [DefaultInfo(
        executable = script,
        runfiles = ctx.runfiles(files = installed.values() + others + [manifest, ctx.file.version]),
    )]

bitgrad_installation = rule(
    implementation = _bitgrad_installation_impl,
    attrs = {
        "libraries": attr.label_keyed_string_dict(
            providers = [CcInfo],
            doc = "Library -> its name: 'bitgrad', and 'bitgrad_runtime', which the other needs.",
        ),
        "license": attr.label(allow_single_file = True, default = "//:LICENSE"),
        "programs": attr.label_keyed_string_dict(doc = "Program -> its installed name."),
        "shared": attr.label(allow_single_file = True, default = "//runtime:libbitgrad_runtime.so"),
        "shared_name": attr.string(default = "libbitgrad_runtime.so.1", doc = "Its SONAME."),
        "script": attr.label(allow_single_file = True, default = "//tools:install.sh"),
        "version": attr.label(allow_single_file = True, default = "//core:version.h"),
    },
    executable = True,
    doc = "A program that installs bitgrad: NAME --prefix=DIR.",
)
