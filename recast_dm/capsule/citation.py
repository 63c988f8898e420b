"""How an analysis is cited, by whom it is, and on what terms: CITATION.cff, codemeta.json, its licence.

What recast.yml's `metadata` says is put into the words that others read. An analysis that brings such a file of its own
keeps it, and none is generated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.spec.analysis import Analysis, Author

CITATION = "CITATION.cff"
CODEMETA = "codemeta.json"
CODEMETA_CONTEXT = "https://doi.org/10.5063/schema/codemeta-2.0"
SPDX = "https://spdx.org/licenses/"
_LICENCE_FILES = re.compile(r"(LICEN[SC]E|COPYING)([.-].*)?", re.IGNORECASE)
_READ = 64 * 1024
"""Bytes of a licence's file: the longest of them is half as long."""

_ADDRESSES: Mapping[str, tuple[str, str]] = {
    "arxiv": ("arXiv:", "https://arxiv.org/abs/"),
    "doi": ("doi:", "https://doi.org/"),
    "hepdata": ("HEPData ", "https://www.hepdata.net/record/"),
    "inspire": ("INSPIRE ", "https://inspirehep.net/literature/"),
}

# Sentences that tell one licence from another, in the order in which they are looked for.
_SENTENCES: tuple[tuple[str, str], ...] = (
    (r"SPDX-License-Identifier:\s*([^\n*]+)", ""),
    (r"GNU AFFERO GENERAL PUBLIC LICENSE\s+Version 3", "AGPL-3.0-only"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 3", "LGPL-3.0-only"),
    (r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1", "LGPL-2.1-only"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 3", "GPL-3.0-only"),
    (r"GNU GENERAL PUBLIC LICENSE\s+Version 2", "GPL-2.0-only"),
    (r"Apache License,?\s+Version 2\.0", "Apache-2.0"),
    (r"Mozilla Public License,?\s+Version 2\.0", "MPL-2.0"),
    (r"CC0 1\.0 Universal", "CC0-1.0"),
    (r"(?:Creative Commons )?Attribution 4\.0 International", "CC-BY-4.0"),
    (r"Permission is hereby granted, free of charge, to any person obtaining a copy", "MIT"),
    (r"Redistribution and use in source and binary forms.*Neither the name", "BSD-3-Clause"),
    (r"Redistribution and use in source and binary forms", "BSD-2-Clause"),
)
_GROUP = re.compile(r"\b(the|collaborations?|developers|team|group|working group|experiment|authors)\b", re.IGNORECASE)


# --- the licence ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Licence:
    """On what terms an analysis may be used: its SPDX identifier where it has one, its address, and its own file."""

    name: str
    spdx: str | None = None
    url: str | None = None
    file: str | None = None


def licence(analysis: Analysis) -> Licence | None:
    """What recast.yml says, else what the analysis' own licence file is recognised as; None where there is neither."""
    file = next((path.name for path in sorted(analysis.directory.iterdir()) if _is_licence(path)), None)
    said = analysis.license or (recognise(_text(analysis.directory / file)) if file else None)
    if said is None:
        return Licence("its own", file=file) if file else None
    if said.startswith(("https://", "http://")):
        spdx = said.removeprefix(SPDX).removesuffix(".html") if said.startswith(SPDX) else None
        return Licence(spdx or said, spdx, said, file)
    from cyclonedx import spdx as known  # which identifiers there are

    if identifier := known.fixup_id(said):
        return Licence(identifier, identifier, SPDX + identifier, file)
    return Licence(said, file=file)


def recognise(text: str) -> str | None:
    """The SPDX identifier of a licence's text, by sentences that no other licence has.

    A text cannot say whether later versions are allowed too, so the GNU ones are taken at their word.

    >>> recognise("Permission is hereby granted, free of charge, to any person obtaining a copy of this")
    'MIT'
    >>> recognise("All rights reserved.") is None
    True
    """
    for sentence, identifier in _SENTENCES:
        if found := re.search(sentence.replace(" ", r"\s+"), text, re.DOTALL | re.IGNORECASE):
            return identifier or found[1].strip()
    return None


def _is_licence(path: Path) -> bool:
    return _LICENCE_FILES.fullmatch(path.name) is not None and path.is_file()


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_READ).decode("utf-8", "replace")


# --- authors and references -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reference:
    """A publication or record that an analysis belongs to: `kind` and `value` as in recast.yml."""

    kind: str
    value: str
    name: str
    url: str | None


def references(analysis: Analysis) -> tuple[Reference, ...]:
    """The references of an analysis, in the order of recast.yml."""
    return tuple(reference(kind, value) for kind, value in analysis.references.items())


def reference(kind: str, value: str) -> Reference:
    """One reference with its address.

    >>> reference("arxiv", "2102.10874").url
    'https://arxiv.org/abs/2102.10874'
    >>> reference("hepdata", "1847779").name
    'HEPData ins1847779'
    >>> reference("twiki", "EXOT-2018-06")
    Reference(kind='twiki', value='EXOT-2018-06', name='twiki: EXOT-2018-06', url=None)
    """
    value = value.strip()
    if value.startswith(("https://", "http://")):
        return Reference(kind, value, value, value)
    if kind.lower() not in _ADDRESSES:
        return Reference(kind, value, f"{kind}: {value}", None)
    prefix, address = _ADDRESSES[kind.lower()]
    bare = re.sub(r"^(arxiv|doi|inspire|hepdata):\s*", "", value, flags=re.IGNORECASE)
    if kind.lower() == "hepdata" and bare.isdecimal():
        bare = f"ins{bare}"  # HEPData's records are called by INSPIRE's numbers
    return Reference(kind, bare, prefix + bare, address + bare)


def is_group(author: Author) -> bool:
    """Whether an author is a collaboration rather than a person, going by the words of the name.

    >>> is_group(Author("Gambit Collaboration")), is_group(Author("Ada Lovelace"))
    (True, False)
    """
    return author.orcid is None and _GROUP.search(author.name) is not None


def names(author: Author) -> tuple[str, str]:
    """A person's given and family names, taken apart at the comma or else before the last word.

    >>> names(Author("Ada Lovelace")), names(Author("Van der Meer, Simon"))
    (('Ada', 'Lovelace'), ('Simon', 'Van der Meer'))
    """
    family, comma, given = author.name.partition(",")
    if not comma:
        given, _, family = author.name.strip().rpartition(" ")
    return given.strip(), family.strip()


# --- the documents ----------------------------------------------------------------------------------------------------


def documents(analysis: Analysis) -> dict[str, bytes]:
    """CITATION.cff and codemeta.json by name, those that the analysis does not bring itself."""
    made = {CITATION: cff, CODEMETA: codemeta}
    return {name: make(analysis) for name, make in made.items() if not (analysis.directory / name).is_file()}


def cff(analysis: Analysis) -> bytes:
    """CITATION.cff, version 1.2.0 of the Citation File Format."""
    import yaml

    terms = licence(analysis)
    authors = [_cff_author(author) for author in analysis.authors]
    document: dict[str, Any] = {
        "cff-version": "1.2.0",
        "message": "If you use this analysis, please cite it as below, and the publications that it preserves.",
        "type": "software",
        "title": analysis.title,
        "authors": authors or [{"name": f"The authors of {analysis.name}"}],
    }
    if analysis.version:
        document["version"] = analysis.version
    if terms and terms.spdx:
        document["license"] = terms.spdx
    elif terms and terms.url:
        document["license-url"] = terms.url
    if found := references(analysis):
        document["references"] = [_cff_reference(each) for each in found]
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    return text.encode()


def _cff_author(author: Author) -> dict[str, str]:
    if is_group(author):
        return {"name": author.name}
    given, family = names(author)
    parts = {"family-names": family, "given-names": given, "orcid": author.orcid, "affiliation": author.affiliation}
    return {name: value for name, value in parts.items() if value}


def _cff_reference(found: Reference) -> dict[str, Any]:
    """The format wants authors of every reference, and recast.yml does not name them."""
    about: dict[str, Any] = {
        "type": "data" if found.kind.lower() == "hepdata" else "article",
        "title": found.name,
        "authors": [{"name": f"The authors of {found.name}"}],
    }
    if found.kind.lower() == "doi":
        about["doi"] = found.value
    if found.url:
        about["url"] = found.url
    return about


def codemeta(analysis: Analysis) -> bytes:
    """codemeta.json, version 2.0."""
    terms = licence(analysis)
    document: dict[str, Any] = {
        "@context": CODEMETA_CONTEXT,
        "@type": "SoftwareSourceCode",
        "name": analysis.name,
        "description": analysis.title,
        "version": analysis.version,
        "license": terms.url if terms else None,
        "author": [_codemeta_author(author) for author in analysis.authors],
        "programmingLanguage": "yadage",
        "referencePublication": [found.url for found in references(analysis) if found.url],
    }
    return store.pretty({name: value for name, value in document.items() if value})


def _codemeta_author(author: Author) -> dict[str, Any]:
    if is_group(author):
        return {"@type": "Organization", "name": author.name}
    given, family = names(author)
    person = {"@type": "Person", "@id": author.orcid, "givenName": given, "familyName": family}
    found: dict[str, Any] = {name: value for name, value in person.items() if value}
    if author.affiliation:
        found["affiliation"] = {"@type": "Organization", "name": author.affiliation}
    return found
