"""Will this rerun? What an analysis needs that is not in it, as far as that is sure.

An error stops a rerun where nobody provides the thing; a warning may; a note is worth knowing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from recast_dm.capsule.gates import commands
from recast_dm.capsule.gates.files import texts
from recast_dm.capsule.gates.layers import Stack
from recast_dm.capsule.gates.secrets import Secret
from recast_dm.model import DockerEnvironment, HostEnvironment, Image, StepSpec, Workflow
from recast_dm.spec import text
from recast_dm.spec.analysis import MANIFEST
from recast_dm.spec.relaxations import leaves_the_container, of_stage
from recast_dm.spec.text import Node

if TYPE_CHECKING:
    from recast_dm.capsule.gates.sbom import Materials

Severity: TypeAlias = Literal["error", "warning", "note"]
PLATFORM = "linux/amd64"

_REMOTE_REF = re.compile(r"""\$ref["']?\s*:\s*["']?([a-z][a-z0-9+-]*:[^\s"'}]+)""")
_SPECIFICATIONS = (".yml", ".yaml", ".json")
_SERVICES = {
    "cvmfs": "the file system CVMFS",
    "kerberos": "Kerberos tickets",
    "voms_proxy": "a VOMS proxy",
    "gpu": "graphics processors",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: `code` names its kind, `where` its place, `hint` what to do."""

    code: str
    severity: Severity
    where: str
    message: str
    hint: str

    def document(self) -> dict[str, str]:
        return {
            "code": self.code,
            "severity": self.severity,
            "where": self.where,
            "message": self.message,
            "hint": self.hint,
        }


def of_analysis(
    directory: Path, workflow: Workflow, *, captured: bool, inside: Mapping[str, Stack] | None = None
) -> tuple[Finding, ...]:
    """Findings in an analysis directory and its workflow. `captured`: the image's bytes and references are kept.

    `inside` are the layers of its images by reference, where they were read.
    """
    stacks = inside or {}
    root = text.read(directory / MANIFEST, MANIFEST)
    found = [
        *_steps(workflow, captured, stacks),
        *_preserved(directory, root.plain()),
        *_inputs(root),
        *_relaxed(root),
        *_sources(directory, captured),
    ]
    return ordered(found)


def ordered(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Each once: errors, then warnings, then notes, by place."""
    order = ("error", "warning", "note")
    return tuple(sorted(dict.fromkeys(found), key=lambda each: (order.index(each.severity), each.where, each.code)))


# --- steps -----------------------------------------------------------------------------------------------------------


def _steps(workflow: Workflow, captured: bool, inside: Mapping[str, Stack]) -> Iterator[Finding]:
    seen: set[str] = set()
    for name, spec in workflow.step_specs():
        where = str(spec.where)
        environment = spec.environment
        if isinstance(environment, HostEnvironment) and spec.starts_something:
            yield Finding(
                "host-process",
                "warning",
                where,
                f"the stage {name!r} runs on the host (localproc-env): its programs are not preserved",
                "give it a docker-encapsulated environment",
            )
        if isinstance(environment, DockerEnvironment):
            if environment.reference not in seen:
                yield from _image_name(where, environment, captured)
            seen.add(environment.reference)
            yield from _resources(name, where, environment)
            yield from _commands(name, where, spec, inside.get(environment.reference))


def _image_name(where: str, environment: DockerEnvironment, captured: bool) -> Iterator[Finding]:
    if "@sha256:" not in environment.reference:
        latest = environment.imagetag == "latest"
        yield Finding(
            "image-unpinned",
            "note" if captured else "warning",
            where,
            f"the image {environment.reference} "
            + ("is whatever is newest" if latest else "is known by a tag, which may move")
            + ("; the capsule keeps the layers that it had" if captured else ""),
            "runs of the capsule take those layers"
            if captured
            else "name a version"
            if latest
            else "capture it: a capsule keeps the layers themselves",
        )


def _resources(name: str, where: str, environment: DockerEnvironment) -> Iterator[Finding]:
    for service in (*environment.resources, *environment.unprovided):
        known = _SERVICES.get(service, f"the resource {service!r}")
        why = "no capsule holds" if service in environment.resources else "nothing here provides"
        yield Finding(
            "resource",
            "warning",
            where,
            f"the stage {name!r} asks for {known}, which {why}",
            "put what it takes from there into the image or into the inputs",
        )


def _relaxed(root: Node) -> Iterator[Finding]:
    """Stages that see more than their container: no capsule holds that."""
    for stage, asked in (root.plain().get("steps") or {}).items():
        for name in of_stage(asked):
            if leaves_the_container((name,)):
                yield Finding(
                    "open-container",
                    "warning",
                    str(root.at(("steps", stage))),
                    f"the stage {stage!r} sees what no capsule holds ({name})",
                    "put what it takes from there into the image or into the inputs",
                )


def _commands(name: str, where: str, spec: StepSpec, image: Stack | None) -> Iterator[Finding]:
    environment = spec.environment
    assert isinstance(environment, DockerEnvironment)  # noqa: S101  # the caller asked
    mounted = tuple(mount.mountpath for mount in environment.par_mounts)
    for said in commands.texts(spec):
        for program in commands.network(said):
            yield Finding(
                "network",
                "warning",
                where,
                f"the stage {name!r} uses {program}, and a step has no network",
                "put what it fetches into the image or into the inputs",
            )
        for path in commands.host_paths(said):
            if not path.startswith(mounted) and not (image is not None and image.has(path)):
                far = path.startswith(commands.NETWORK_FILE_SYSTEMS)
                yield Finding(
                    "host-path",
                    "error" if far and image is not None else "warning",
                    where,
                    f"the stage {name!r} names {path}, which is not in the "
                    + ("image" if image is not None else "analysis"),
                    "put what it needs from there into the image or into the inputs",
                )
        for path in commands.programs(said):
            if image is not None and not image.has(path) and not path.startswith((*commands.MOUNTED, *mounted)):
                yield Finding(
                    "program-missing",
                    "error",
                    where,
                    f"the stage {name!r} starts {path}, which is not in the image {environment.reference}",
                    "put it into the image",
                )


# --- what recast.yml promises ----------------------------------------------------------------------------------------


def _preserved(directory: Path, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    if "statistics" not in manifest:
        yield Finding(
            "no-likelihood",
            "warning",
            MANIFEST,
            "no likelihood is named: limits can only be those that the analysis itself prints",
            "name the workspace and the patch under `statistics`",
        )
    if not manifest.get("reference"):
        yield Finding(
            "no-reference",
            "warning",
            MANIFEST,
            "no rule says how outputs are compared: a rerun must give the same bytes",
            "list outputs and how to compare them under `reference`",
        )
    for stage, asked in (manifest.get("steps") or {}).items():
        if asked.get("compat") == "raw":
            yield Finding(
                "raw",
                "warning",
                MANIFEST,
                f"the stage {stage!r} takes values as text (compat: raw): a value can change its command",
                "quote the placeholders in the command, and take the line out",
            )
    names = {path.name.upper() for path in directory.iterdir()}
    if "CITATION.CFF" not in names:
        yield Finding("no-citation", "note", ".", "there is no CITATION.cff", "say in one how to cite the analysis")
    if not any(name.startswith(("LICENSE", "LICENCE", "COPYING")) for name in names):
        yield Finding("no-licence", "note", ".", "there is no licence", "say in a file LICENSE who may use it, and how")


def _inputs(root: text.Node) -> Iterator[Finding]:
    """Init parameters that name something elsewhere."""
    for node in _strings(root.at(("example_inputs",))):
        value = str(node.value)
        if commands.is_address(value) or commands.host_paths(value):
            yield Finding(
                "input-elsewhere",
                "warning",
                str(node.where),
                f"an init parameter names {value[:200]!r}, which is not in the analysis",
                "put the file below the initdir and name it by its relative path",
            )


def _strings(node: text.Node) -> Iterator[text.Node]:
    if isinstance(node.value, str):
        yield node
    elif isinstance(node.value, tuple):
        for each in node.value:
            yield from _strings(each)
    elif isinstance(node.value, Mapping):
        for each in node.value.values():
            yield from _strings(each)


# --- files -----------------------------------------------------------------------------------------------------------


def _sources(directory: Path, captured: bool) -> Iterator[Finding]:
    for name, data in texts(directory):
        if commands.is_shell(name, data):
            yield from _script(name, data.decode("utf-8", "replace"))
        if name.endswith(_SPECIFICATIONS):
            for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
                for address in _REMOTE_REF.findall(line):
                    yield Finding(
                        "remote-ref",
                        "note" if captured else "warning",
                        f"{name}:{number}",
                        f"$ref {address[:200]} lies on a server" + (": it was resolved at capture" if captured else ""),
                        "copy it beside the workflow",
                    )


def _script(name: str, script: str) -> Iterator[Finding]:
    for number, line in enumerate(script.splitlines(), 1):
        for what in (*commands.network(line), *commands.host_paths(line)):
            yield Finding(
                "script-elsewhere",
                "note",
                f"{name}:{number}",
                f"the script uses {what}",
                "a step has no network and sees no files of the host",
            )


def of_secret(secret: Secret) -> Finding:
    """A secret, as something that capture would refuse."""
    return Finding(
        "secret",
        "error",
        secret.place if secret.line is None else f"{secret.place}:{secret.line}",
        f"{secret.kind} {secret.name}: a capsule is made to be given away",
        f"take it out; or, if it protects nothing: `recast-dm capture --allow-secret {secret.name}`",
    )


# --- images ----------------------------------------------------------------------------------------------------------


def of_images(
    images: Sequence[Image], inside: Mapping[str, Stack], materials: Mapping[str, Materials]
) -> tuple[Finding, ...]:
    """Findings in images, and in their layers where these were read."""
    return ordered([found for image in images for found in _image(image, inside, materials)])


def _image(image: Image, inside: Mapping[str, Stack], materials: Mapping[str, Materials]) -> Iterator[Finding]:
    where = f"image {image.reference}"
    if image.platform != PLATFORM:
        yield Finding(
            "platform",
            "warning",
            where,
            f"it is for {image.platform}: most machines of clusters are {PLATFORM}",
            f"build it for {PLATFORM}",
        )
    stack = inside.get(image.reference)
    if stack is not None and not stack.has("/bin/bash") and not stack.has("/usr/bin/bash"):
        yield Finding("no-bash", "note", where, "it has no bash, which REANA starts steps with", "install bash in it")
    if image.reference in materials:
        for path, why in sorted(materials[image.reference].unread.items()):
            yield Finding(
                "packages-unread",
                "note",
                f"{where}: /{path}",
                f"{why} was not read: its packages are not in the bill of materials",
                "the image runs all the same",
            )
