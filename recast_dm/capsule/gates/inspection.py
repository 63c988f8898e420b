"""What stands between an analysis and its capsule: one look at everything that would go in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from recast_dm.capsule.gates import contents, findings, sbom, secrets
from recast_dm.capsule.gates.contents import Contents
from recast_dm.capsule.gates.files import texts
from recast_dm.capsule.gates.findings import Finding
from recast_dm.capsule.gates.layers import Stack
from recast_dm.capsule.gates.sbom import Materials
from recast_dm.capsule.gates.secrets import Search, Secret
from recast_dm.errors import UsageError
from recast_dm.model import Image, Workflow
from recast_dm.spec.analysis import Analysis


class Layer(Protocol):
    """A stored layer: its uncompressed tar has the hash `diff_id`."""

    @property
    def diff_id(self) -> str: ...


L_co = TypeVar("L_co", bound=Layer, covariant=True)
L = TypeVar("L", bound=Layer)


class Stored(Protocol[L_co]):
    """An image with its bytes: the OCI config as it is written, the layers from the bottom up."""

    @property
    def image(self) -> Image: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def layers(self) -> Sequence[L_co]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found. `secrets` are those that nobody allowed; `sboms` are by image reference."""

    secrets: tuple[Secret, ...]
    findings: tuple[Finding, ...]
    sboms: Mapping[str, bytes]

    def refuse_secrets(self) -> None:
        """Raises UsageError when there is a secret; the message says where each one is, and never what it is."""
        if not self.secrets:
            return
        names = tuple(dict.fromkeys(each.name for each in self.secrets))
        lines = [each.line_of_text() for each in self.secrets[:20]]
        more = [f"and {len(self.secrets) - 20} more"] if len(self.secrets) > 20 else []
        allow = " ".join(f"--allow-secret {name}" for name in names[:5])
        raise UsageError(
            f"{len(names)} secret{'s' * (len(names) != 1)} would go into the capsule, which is made to be given away",
            hint="\n".join([*lines, *more, f"take them out, or say that they protect nothing: {allow}"]),
        )


def inspect(
    directory: Path,
    workflow: Workflow,
    images: Sequence[Stored[L]],
    open_layer: Callable[[L], BinaryIO],
    *,
    history: Iterable[tuple[str, bytes]] = (),
    allowed: frozenset[str] = frozenset(),
    progress: Callable[[str], None] = lambda _: None,
) -> Inspection:
    """Looks at an analysis directory, its images, and the texts of its git history (name and bytes of each).

    `open_layer` gives a layer's uncompressed tar; a layer that several images share is read once. `allowed` are names
    of secrets that are none. Raises IntegrityError for a layer that cannot be read.
    """
    found: dict[Secret, None] = {}
    read: dict[str, Contents] = {}
    with secrets.searching() as search:
        found |= dict.fromkeys(of_texts(search, directory, history))
        for each in images:
            found |= dict.fromkeys(_settings(search, each))
            for number, layer in enumerate(each.layers, 1):
                if layer.diff_id not in read:
                    place = f"{each.image.reference} layer {number}"
                    with open_layer(layer) as stream:
                        read[layer.diff_id] = contents.read(search, place, layer.diff_id, stream, progress)
                    found |= dict.fromkeys(read[layer.diff_id].secrets)
    piles = {each.image.reference: [read[layer.diff_id] for layer in each.layers] for each in images}
    stacks = {reference: Stack([each.shape for each in pile]) for reference, pile in piles.items()}
    materials = {reference: _materials(pile, stacks[reference]) for reference, pile in piles.items()}
    return Inspection(
        secrets=tuple(secret for secret in found if secret.name not in allowed),
        findings=findings.ordered(
            [
                *findings.of_analysis(directory, workflow, captured=True, inside=stacks),
                *findings.of_images([each.image for each in images], stacks, materials),
            ]
        ),
        sboms={each.image.reference: sbom.document(each.image, materials[each.image.reference]) for each in images},
    )


def examine(analysis: Analysis, *, captured: Sequence[Image] | None = None) -> tuple[Finding, ...]:
    """What may keep an analysis from running again; no layer is read. `captured` are the images of its capsule.

    Of an analysis that is not captured yet, also the secrets in its files, which capture would refuse.
    """
    found = [*findings.of_analysis(analysis.directory, analysis.workflow, captured=captured is not None)]
    if captured is not None:
        found += findings.of_images(captured, {}, {})
    else:
        with secrets.searching() as search:
            found += [findings.of_secret(each) for each in of_texts(search, analysis.directory)]
    return findings.ordered(found)


def of_texts(search: Search, directory: Path, history: Iterable[tuple[str, bytes]] = ()) -> Iterator[Secret]:
    """The secrets in the files of an analysis directory, and in the texts of its history."""
    for name, data in texts(directory):
        yield from search.text(name, data)
    for name, data in history:
        yield from search.text(name, data)


def _settings(search: Search, stored: Stored[Layer]) -> Iterator[Secret]:
    """The secrets in what an image's config sets, and in the commands that made the image."""
    place = f"image {stored.image.reference}"
    for part in ("config", "container_config"):
        settings = _mapping(stored.config.get(part))
        labels = [f"{key}={value}" for key, value in _mapping(settings.get("Labels")).items()]
        health = _mapping(settings.get("Healthcheck")).get("Test")
        commands = [*(settings.get(key) for key in ("Entrypoint", "Cmd", "OnBuild")), health]
        yield from search.settings(f"{place}: environment", _words(settings.get("Env")))
        yield from search.settings(f"{place}: labels", labels)
        yield from search.settings(f"{place}: command", [" ".join(_words(each)) for each in commands])
    history = stored.config.get("history")
    made = [_mapping(each) for each in history] if isinstance(history, list) else []
    said = [str(each.get(key, "")) for each in made for key in ("created_by", "comment", "author")]
    yield from search.settings(f"{place}: history", [*said, str(stored.config.get("author", ""))])


def _mapping(value: object) -> Mapping[str, Any]:
    """A part of a config that should be an object: configs come from anywhere."""
    return value if isinstance(value, Mapping) else {}


def _words(value: object) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _materials(pile: Sequence[Contents], stack: Stack) -> Materials:
    """The packages that are in an image in the end."""
    kept = [
        (package, path)
        for number, each in enumerate(pile)
        for path, found in each.records.packages.items()
        if stack.keeps(number, path)
        for package in found
    ]
    unread = {
        path: why
        for number, each in enumerate(pile)
        for path, why in each.records.unread.items()
        if stack.keeps(number, path)
    }
    release: Mapping[str, str] = {}
    for number, each in enumerate(pile):
        for path, said in sorted(each.records.release.items(), reverse=True):
            release = said if stack.keeps(number, path) else release
    return Materials(packages=tuple(kept), unread=unread, release=release)
