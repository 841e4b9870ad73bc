"""What sources are compiled against."""

def _compiled_against_impl(ctx):
    lines = []
    for dep in ctx.attr.deps:
        headers = dep[CcInfo].compilation_context.headers.to_list()
        lines += [
            "%s %s" % (dep.label, header.short_path)
            for header in headers
            if not header.path.startswith("external/")
        ]
    output = ctx.actions.declare_file(ctx.label.name + ".txt")
    ctx.actions.write(output, "\n".join(lines) + "\n")
    return [DefaultInfo(files = depset([output]))]

# A file of lines "TARGET HEADER": the headers of this workspace that whoever depends on the target is compiled against,
# those of the target itself among them.
compiled_against = rule(
    implementation = _compiled_against_impl,
    attrs = {"deps": attr.label_list(mandatory = True, providers = [CcInfo])},
)
