"""What a stage gets beyond a closed container, and beside upstream's rules: declared, shown, recorded.

They are words of a step (`Step.relaxations`), and part of its key:

compat: raw           values are substituted as text, as upstream does
network               the container has a network
mount: /PATH          a file or directory of the machine, at its own place, read-only
resource: NAME        `cvmfs`, `kerberos`, `voms_proxy` or `gpu`, of the environment's `resources`
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

RAW = "compat: raw"
NETWORK = "network"
MOUNT = "mount: "
RESOURCE = "resource: "

RESOURCES = {
    "cvmfs": "cvmfs",
    "gridproxy": "voms_proxy",
    "voms_proxy": "voms_proxy",
    "kerberos": "kerberos",
    "gpu": "gpu",
}
"""What yadage and REANA call a resource, in small letters, by what it is here."""


def of_stage(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """The relaxations that a stage's part of recast.yml declares.

    >>> of_stage({"compat": "raw", "network": True, "mounts": ["/data/conditions"], "retries": 3})
    ('compat: raw', 'network', 'mount: /data/conditions')
    """
    found = [RAW] if asked.get("compat") == "raw" else []
    found += [NETWORK] if asked.get("network") else []
    return (*found, *(f"{MOUNT}{path}" for path in asked.get("mounts", ())))


def with_raw(relaxations: Mapping[str, tuple[str, ...]], stages: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The same, where more stages have `compat: raw`."""
    more = {stage: tuple(dict.fromkeys((RAW, *relaxations.get(stage, ())))) for stage in stages}
    return {**relaxations, **more}


def of_resources(names: Iterable[str]) -> tuple[str, ...]:
    """Those that an environment's resources are."""
    return tuple(f"{RESOURCE}{name}" for name in names)


def raw_stages(relaxations: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """The stages with `compat: raw`.

    >>> sorted(raw_stages({"fit": ("compat: raw",), "fetch": ("network",)}))
    ['fit']
    """
    return frozenset(stage for stage, names in relaxations.items() if RAW in names)


def leaves_the_container(names: Iterable[str]) -> bool:
    """Whether a step may see what no key knows of: another run is not to take its outputs.

    >>> leaves_the_container(("compat: raw",)), leaves_the_container(("network",))
    (False, True)
    """
    return any(name != RAW for name in names)
