"""What a docker-encapsulated environment asks for: yadage's names of services, and REANA's limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from recast_dm.errors import SpecError
from recast_dm.model import Policy
from recast_dm.spec import shape
from recast_dm.spec.quantity import quantity
from recast_dm.spec.relaxations import RESOURCES
from recast_dm.spec.text import Node

_ELSEWHERE = ("kubernetes_uid", "compute_backend", "unpacked_img")
"""What only says how a cluster is to do it."""


def read(node: Node) -> tuple[Policy, tuple[str, ...], tuple[str, ...]]:
    """The limits that a list of resources sets, the resources of a machine, and the names of what nothing provides.

    Raises SpecError for a quantity that is none.
    """
    found: dict[str, Any] = {}
    known: list[str] = []
    unknown: list[str] = []
    for item in shape.sequence(node, "resources"):
        entries = item.value if isinstance(item.value, Mapping) else {str(item.value): item}
        for key, value in entries.items():
            limit = _limit(key, value)
            found |= limit
            if key.lower() in RESOURCES:
                known += [RESOURCES[key.lower()]] if _wanted(key, value) else []
            elif not limit and key not in _ELSEWHERE and not key.endswith("_request"):
                unknown.append(key)
    return Policy(**found), tuple(dict.fromkeys(known)), tuple(unknown)


def _wanted(key: str, node: Node) -> bool:
    """A resource is named, or is a key whose value says whether it is wanted."""
    return str(node.value) == key or node.value not in (False, None, 0, "false", "")


def _limit(key: str, node: Node) -> dict[str, Any]:
    try:
        if key == "kubernetes_memory_limit":
            return {"memory": int(_positive(quantity(node.value)))}
        if key == "kubernetes_cpu_limit":
            return {"cpus": _positive(quantity(node.value))}
        if key == "kubernetes_job_timeout":
            return {"timeout": _positive(float(str(node.value)))}
    except ValueError:
        message = f"the resource {key} is {node.value!r}"
        raise SpecError(message, where=node.where, hint="as in 4Gi, 500m or 3600") from None
    return {}


def _positive(number: float) -> float:
    """A limit of 0 would be none at all to docker. Raises ValueError."""
    if not 0 < number < math.inf:
        raise ValueError(number)
    return number
