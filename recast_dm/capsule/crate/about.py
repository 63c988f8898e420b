"""Who wrote an analysis, on what terms, what it refers to, and the images that it runs in, as entities of a crate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from recast_dm.capsule import citation
from recast_dm.capsule.crate.entities import Crate, Ref, local_id, ref, refs
from recast_dm.spec.analysis import Analysis, Author

DOCKER_IMAGE = "https://w3id.org/ro/terms/workflow-run#DockerImage"
NO_LICENCE = "No licence is stated: ask the authors."


def authors(crate: Crate, found: Iterable[Author]) -> list[Ref]:
    return refs([_author(crate, author) for author in found])


def _author(crate: Crate, author: Author) -> str:
    if citation.is_group(author):
        return crate.add(local_id("author", author.name), "Organization", name=author.name)
    given, family = citation.names(author)
    affiliation = None
    if author.affiliation:
        affiliation = crate.add(local_id("organization", author.affiliation), "Organization", name=author.affiliation)
    return crate.add(
        author.orcid or local_id("author", author.name),
        "Person",
        name=author.name,
        givenName=given,
        familyName=family,
        affiliation=ref(affiliation) if affiliation else None,
    )


def references(crate: Crate, analysis: Analysis) -> list[Ref]:
    return refs(
        [
            crate.add(
                each.url or local_id("reference", each.kind, each.value),
                "CreativeWork",
                name=each.name,
                identifier=each.value,
                url=each.url,
            )
            for each in citation.references(analysis)
        ]
    )


def licence(crate: Crate, terms: citation.Licence | None) -> Ref:
    """On what terms the crate may be used; where nobody has said so, it says that."""
    if terms is None:
        return ref(crate.add(local_id("licence"), "CreativeWork", name="none stated", description=NO_LICENCE))
    said = f"{terms.name}, see {terms.file}" if terms.file else terms.name
    name = terms.url or local_id("licence")
    kind = "CreativeWork"
    return ref(crate.add(name, kind, name=terms.name, identifier=terms.spdx, url=terms.url, description=said))


def image(crate: Crate, document: Mapping[str, Any]) -> str:
    """A container image by its three ids: what its layers hold, what the engine calls it, what a registry claims."""
    reference = str(document["reference"])
    name = local_id("image", reference)
    if name in crate:
        return name
    registry, repository, tag = _parts(reference)
    digest = document.get("registry_digest")
    ids = {"image id": document["image_id"], "registry digest": digest, "diff_ids": list(document["diff_ids"])}
    identifiers = [
        crate.add(local_id("image", reference, what), "PropertyValue", name=what, propertyID=what, value=value)
        for what, value in ids.items()
        if value
    ]
    return crate.add(
        name,
        "ContainerImage",
        name=repository,
        tag=tag,
        registry=registry,
        additionalType=ref(DOCKER_IMAGE),
        sha256=digest.rpartition(":")[2] if digest else None,
        identifier=refs(identifiers),
        description=f"{reference} for {document['platform']}",
    )


def _parts(reference: str) -> tuple[str | None, str, str | None]:
    """The registry, where the reference names one, the repository and the tag.

    >>> _parts("registry.example:5000/group/tool:1.0"), _parts("recast-dm/toy:1.0")
    (('registry.example:5000', 'group/tool', '1.0'), (None, 'recast-dm/toy', '1.0'))
    """
    first, slash, rest = reference.partition("/")
    registry = first if slash and re.search(r"[.:]|^localhost$", first) else None
    repository, colon, tag = (rest if registry else reference).rpartition(":")
    return registry, repository if colon else tag, tag if colon else None
