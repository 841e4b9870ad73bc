"""How libraries of the bundle for other machines are linked.

A copy of this file lies in the repository of each system library (tools/system.bzl), with the setting that it asks.
"""

def static_in_bundle(linkopts, needs = []):
    """Link options: as they are, or of archives with --define=bundle=static (tools/cuda_bundle.sh).

    Only for libraries that Debian has as archives and that no shared library of the bundle needs as well.

    Args:
      linkopts: the library's.
      needs: what its archives need besides, which a shared library names itself.
    """
    return select({
        ":static_bundle": ["-Wl,-Bstatic"] + linkopts + needs + ["-Wl,-Bdynamic"],
        "//conditions:default": linkopts,
    })

def static_bundle_setting():
    """The setting behind static_in_bundle."""
    native.config_setting(
        name = "static_bundle",
        define_values = {"bundle": "static"},
    )
