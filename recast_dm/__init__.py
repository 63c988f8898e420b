"""recast-dm: preserve a dark-matter analysis and run it again under a new model.

Every verb is a function: `recast_dm.load`, `rerun`, `scan`, `contour`, `read`, ... `recast_dm.api` describes them. They
are loaded when they are first used, so that importing this package costs nothing.
"""

__version__ = "0.1.0"
__all__ = [
    "Combination",
    "Limit",
    "Plane",
    "Planes",
    "Preserved",
    "Run",
    "Scan",
    "Settings",
    "Verified",
    "__version__",
    "capture",
    "closure",
    "combine",
    "contour",
    "limits",
    "load",
    "models",
    "planes",
    "read",
    "rerun",
    "rescale",
    "run",
    "save",
    "scan",
    "verify",
]
"""`curves`, `export` and `report` are missing: these are packages. `recast_dm.api` has them, and results as methods."""


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Not an import statement: container images hold parts of this package, without `api` and what it needs.
    from importlib import import_module

    return getattr(import_module("recast_dm.api"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
