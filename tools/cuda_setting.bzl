"""The build setting that @local_cuda//:cuda_found queries."""

def _cuda_setting_impl(_ctx):
    return []

cuda_setting = rule(
    implementation = _cuda_setting_impl,
    build_setting = config.string(),
)
