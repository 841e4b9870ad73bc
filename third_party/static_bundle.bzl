"""How libraries are linked into the programs of the bundle for other machines.

The repository of each system library (tools/system.bzl) has a link to this file, and the setting that it queries.
"""

def static_in_bundle(linkopts, needs = []):
    """Returns link options: `linkopts`, or with --define=bundle=static (tools/cuda_bundle.sh) those for archives.

    Only for libraries that Debian has as archives, and that no shared library of the bundle also needs.

    Args:
      linkopts: the library's link options.
      needs: link options for other libraries that its archives need. (A shared library names these itself.)
    """
    return select({
        ":static_bundle": ["-Wl,-Bstatic"] + linkopts + needs + ["-Wl,-Bdynamic"],
        "//conditions:default": linkopts,
    })

def static_bundle_setting():
    """Defines the setting that static_in_bundle() queries."""
    native.config_setting(
        name = "static_bundle",
        define_values = {"bundle": "static"},
    )
