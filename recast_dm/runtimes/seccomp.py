"""The filter of system calls that podman's containers get: podman's own, without what makes namespaces and mounts.

Podman's lets a container make user namespaces, in which a program has every capability over kernel code that it has no
business with. Docker's does not, nor does the sandbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROFILES = (Path("/etc/containers/seccomp.json"), Path("/usr/share/containers/seccomp.json"))
"""Where podman's own lies, in the order in which podman looks."""

REFUSED = frozenset(
    {"clone", "clone3", "unshare", "setns", "add_key", "keyctl", "request_key"}
    | {"mount", "mount_setattr", "move_mount", "umount", "umount2", "pivot_root"}
    | {"fsconfig", "fsmount", "fsopen", "fspick", "open_tree"}
)
_NAMESPACES = 0x7E020000
"""clone's flags that make namespaces: CLONE_NEWNS to CLONE_NEWNET, and CLONE_NEWCGROUP."""
_AFTER_ALL = (
    {
        "names": ["clone"],
        "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 0, "value": _NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}],
    },
    # its flags cannot be seen by a filter: as on a kernel that lacks it, programs use clone
    {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
)


def closed(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A profile of the OCI's runtime specification that refuses namespaces and mounts besides what it refuses.

    >>> closed({"syscalls": [{"names": ["mount", "read"], "action": "SCMP_ACT_ALLOW"}]})["syscalls"][0]["names"]
    ['read']
    """
    rules = [{**rule, "names": [each for each in rule["names"] if each not in REFUSED]} for rule in profile["syscalls"]]
    return {**profile, "syscalls": [*(rule for rule in rules if rule["names"]), *_AFTER_ALL]}
