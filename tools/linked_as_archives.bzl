"""Libraries of others that go into a shared library instead of being needed by it."""

def _linked_as_archives_impl(ctx):
    def option(flag):
        for name in ctx.attr.libraries:
            if flag.startswith("-l" + name):
                return "-l:lib%s.a" % flag[2:]
        return flag

    merged = cc_common.merge_cc_infos(cc_infos = [dep[CcInfo] for dep in ctx.attr.deps])
    inputs = [
        cc_common.create_linker_input(
            owner = linked.owner,
            libraries = depset(linked.libraries),
            user_link_flags = depset([option(flag) for flag in linked.user_link_flags]),
            additional_inputs = depset(linked.additional_inputs),
        )
        for linked in merged.linking_context.linker_inputs.to_list()
    ]
    return [CcInfo(
        compilation_context = merged.compilation_context,
        linking_context = cc_common.create_linking_context(linker_inputs = depset(inputs, order = "topological")),
    )]

# deps, but "-lNAME" is linked as libNAME.a where NAME begins with one of `libraries`. The archives have to hold code
# that may lie anywhere (-fPIC), as Abseil's do and libprotobuf's do not.
linked_as_archives = rule(
    implementation = _linked_as_archives_impl,
    attrs = {
        "deps": attr.label_list(mandatory = True, providers = [CcInfo]),
        "libraries": attr.string_list(mandatory = True, doc = "What names begin with, without lib: \"absl_\"."),
    },
)
