"""What a program has to link, but whoever depends on it does not compile against."""

def _link_only_impl(ctx):
    merged = cc_common.merge_cc_infos(cc_infos = [dep[CcInfo] for dep in ctx.attr.deps])
    return [CcInfo(linking_context = merged.linking_context)]

# The headers of deps are no inputs of what depends on this target: when they change, it is linked again and nothing is
# compiled.
link_only = rule(
    implementation = _link_only_impl,
    attrs = {"deps": attr.label_list(mandatory = True, providers = [CcInfo])},
)
