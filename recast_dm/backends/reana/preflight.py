"""What a server would refuse, or accept and never finish: found before anything is sent, all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.values import Info, Quota, You
from recast_dm.errors import UsageError
from recast_dm.spec.quantity import quantity

Reachable: TypeAlias = Callable[[str], str | None]
"""Why an image reference cannot be pulled by a cluster; None where it can."""
SECRETS: Mapping[str, tuple[frozenset[str], ...]] = {
    "kerberos": (frozenset({"CERN_USER", "CERN_KEYTAB"}),),
    "voms_proxy": (
        frozenset({"VOMSPROXY_FILE"}),
        frozenset({"VONAME", "VOMSPROXY_PASS", "usercert.pem", "userkey.pem"}),
    ),
    "rucio": (frozenset({"VONAME", "RUCIO_USERNAME"}),),
}
"""What a resource of a step needs of the user's secrets: one of these sets (REANA's documentation, access control)."""
WITH_KERBEROS = ("htcondorcern", "slurmcern")
"""The compute backends that know a user by Kerberos."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing in the way, and the line that mends it."""

    message: str
    hint: str

    def document(self) -> dict[str, str]:
        return {"message": self.message, "hint": self.hint}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """What a workflow asks of a server: by stage, the resources of its environment; and the bytes that are sent."""

    resources: Mapping[str, Mapping[str, Any]]
    size: int = 0
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a server has for this user. `secrets` are their names."""

    info: Info
    you: You
    secrets: frozenset[str] = frozenset()


def demands(
    specification: Mapping[str, Any], files: Mapping[str, Path | bytes] | None = None, images: Iterable[str] = ()
) -> Demands:
    """What a body of `create`, its files and its images ask for."""
    sizes = (len(each) if isinstance(each, bytes) else each.stat().st_size for each in (files or {}).values())
    workflow = specification.get("workflow") or {}
    stages = _specification(workflow, files or {})
    resources = {"the workflow": dict(workflow.get("resources") or {}), **dict(_resources(stages))}
    return Demands(resources=resources, size=sum(sizes), images=tuple(dict.fromkeys(images)))


def _specification(workflow: Mapping[str, Any], files: Mapping[str, Path | bytes]) -> Any:
    """The yadage specification: in the body itself, or else the file that the body names."""
    if workflow.get("specification") is not None:
        return workflow["specification"]
    source = files.get(str(workflow.get("file")), b"")
    return yaml.safe_load(source if isinstance(source, bytes) else source.read_bytes())


def offer(reana: Reana, wanted: Demands) -> Offer:
    """What the server has; the names of secrets are asked for where a step needs some."""
    needed = any(_kinds(asked) for asked in wanted.resources.values())
    secrets = frozenset(each.name for each in reana.secrets()) if needed else frozenset[str]()
    return Offer(info=reana.info(), you=reana.you(), secrets=secrets)


def findings(wanted: Demands, offered: Offer, reachable: Reachable = lambda _: None) -> tuple[Finding, ...]:
    """Everything in the way, each said once."""
    found = [
        *_quotas(wanted.size, offered.you),
        *_limits(wanted.resources, offered.info),
        *_backends(wanted.resources, offered.info),
        *_secrets(wanted.resources, offered.secrets),
        *_images(wanted.images, reachable),
    ]
    return tuple(dict.fromkeys(found))


def demand(
    reana: Reana,
    specification: Mapping[str, Any],
    files: Mapping[str, Path | bytes],
    images: Iterable[str],
    reachable: Reachable = lambda _: None,
) -> None:
    """Refuses what the server cannot run. Raises UsageError that names everything which is in the way."""
    wanted = demands(specification, files, images)
    found = findings(wanted, offer(reana, wanted), reachable)
    if found:
        raise UsageError(
            f"{reana.url} cannot run this: {found[0].message}"
            if len(found) == 1
            else f"{reana.url} cannot run this, for {len(found)} reasons; nothing was sent",
            hint=found[0].hint if len(found) == 1 else "\n".join(f"{each.message}: {each.hint}" for each in found),
        )


# --- what is asked for -----------------------------------------------------------------------------------------------


def _resources(node: Any, stage: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The resources of every environment in a specification, sub-workflows too, under the stage's name."""
    if isinstance(node, list):
        for each in node:
            yield from _resources(each, stage)
    elif isinstance(node, Mapping):
        name = "/".join(filter(None, (stage, str(node.get("name", ""))))) if "scheduler" in node else stage
        environment = node.get("environment")
        if isinstance(environment, Mapping) and environment.get("resources"):
            yield name, _merged(environment["resources"])
        for each in node.values():
            yield from _resources(each, name)


def _merged(listed: Any) -> dict[str, Any]:
    """REANA's list of mappings of one key as one mapping; what is none is ignored there, and here."""
    return {key: value for each in listed if isinstance(each, Mapping) for key, value in each.items()}


# --- what stands in the way ------------------------------------------------------------------------------------------


def _quotas(size: int, you: You) -> Iterator[Finding]:
    hint = "`recast-dm quota` shows it; `recast-dm delete W` frees what old workflows hold, or ask the site for more"
    for name, quota in you.quota.items():
        if quota.free == 0:
            yield Finding(message=f"your {name} quota is used up: {_used(quota)}", hint=hint)
        elif name == "disk" and quota.free is not None and size > quota.free:
            yield Finding(
                message=f"{size} bytes are to be sent, and your disk quota has {quota.free} left: {_used(quota)}",
                hint=hint,
            )


def _used(quota: Quota) -> str:
    return f"{quota.shown or quota.usage} of {quota.shown_limit or quota.limit}"


LIMITS = (
    ("memory", "kubernetes_memory_limit", "kubernetes_max_memory_limit", ""),
    ("timeout", "kubernetes_job_timeout", "maximum_kubernetes_jobs_timeout", " s"),
    ("cpu", "kubernetes_cpu_limit", "kubernetes_max_cpu_limit", ""),
)
"""What a step may have a limit of: its resource, the entry of `/api/info` that bounds it, and its unit."""


def _limits(resources: Mapping[str, Mapping[str, Any]], info: Info) -> Iterator[Finding]:
    for stage, asked in resources.items():
        for what, resource, bound, unit in LIMITS:
            yield from _limit(stage, what, asked.get(resource), info.get(bound), unit)


def _limit(stage: str, what: str, asked: Any, most: Any, unit: str) -> Iterator[Finding]:
    if asked is None or most is None:
        return
    try:
        too_much = quantity(str(asked)) > quantity(str(most))
    except ValueError:
        yield Finding(
            message=f"{stage} asks for {what} {asked!r}, which is no quantity",
            hint=f"write steps.{stage}.{what} in recast.yml as in 4Gi, 500m or 3600",
        )
        return
    if too_much:
        yield Finding(
            message=f"{stage} asks for {what} {asked}{unit}, and the site allows {most}{unit}",
            hint=f"lower steps.{stage}.{what} in recast.yml, or take a site that has more",
        )


def _backends(resources: Mapping[str, Mapping[str, Any]], info: Info) -> Iterator[Finding]:
    known = info.compute_backends
    for stage, asked in resources.items():
        wanted = asked.get("compute_backend")
        if wanted is not None and wanted not in known:
            yield Finding(
                message=f"{stage} wants the compute backend {wanted!r}, which the site does not have",
                hint=f"it has: {', '.join(known) or 'none that it names'}",
            )


def _secrets(resources: Mapping[str, Mapping[str, Any]], held: frozenset[str]) -> Iterator[Finding]:
    for stage, asked in resources.items():
        for kind in _kinds(asked):
            if not any(wanted <= held for wanted in SECRETS[kind]):
                absent = min((sorted(wanted - held) for wanted in SECRETS[kind]), key=len)
                yield Finding(
                    message=f"{stage} needs {kind}, and these secrets are not there: {', '.join(absent)}",
                    hint=f"recast-dm secrets add {' '.join(map(_adding, absent))}",
                )


def _kinds(asked: Mapping[str, Any]) -> list[str]:
    """The services that a step's resources ask for and that know users by their secrets."""
    with_kerberos = asked.get("compute_backend") in WITH_KERBEROS
    return [kind for kind in SECRETS if asked.get(kind) or (kind == "kerberos" and with_kerberos)]


def _adding(name: str) -> str:
    """The words that add a secret: files have names as files do."""
    return f"--file {name}" if "." in name else f"--env {name}"


def _images(references: Iterable[str], reachable: Reachable) -> Iterator[Finding]:
    for reference in references:
        why = reachable(reference)
        if why is not None:
            yield Finding(
                message=f"the image {reference} cannot be pulled: {why}",
                hint="`recast-dm images push CAPSULE REGISTRY` brings it there; submit with --registry REGISTRY",
            )
