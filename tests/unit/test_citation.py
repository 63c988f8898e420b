"""CITATION.cff, codemeta.json and licences, out of what recast.yml says; checked by cffconvert and CodeMeta's terms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from recast_dm.capsule import citation
from recast_dm.errors import SpecError
from recast_dm.spec import analysis

TERMS = json.loads((Path(__file__).parents[1] / "data/codemeta/terms-2.0.json").read_text())
FULL = {
    "title": "Search for the dark photon: a toy",
    "version": "1.2",
    "license": "BSD-3-Clause",
    "authors": [
        "The Toy Collaboration",
        {"name": "Ada Lovelace", "orcid": "0000-0002-1825-0097", "affiliation": "Analytical Engines"},
        {"name": "Van der Meer, Simon"},
        "Plato",
    ],
    "references": {
        "arxiv": "2102.10874",
        "inspire": "1847779",
        "hepdata": "ins1847779",
        "doi": "10.1000/182",
        "x": "y",
    },
}


def write(place: Path, toy: Path, metadata: dict | None) -> analysis.Analysis:
    """The toy analysis with other metadata."""
    if not place.exists():
        shutil.copytree(toy, place)
    document = yaml.safe_load((toy / "recast.yml").read_text())
    document.pop("metadata")
    if metadata is not None:
        document["metadata"] = metadata
    (place / "recast.yml").write_text(yaml.safe_dump(document, sort_keys=False))
    return analysis.load(place)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        FULL,
        {"title": "a: b #c 'd'"},
        {"license": "https://example.org/terms"},
        {"license": "ask us"},
        {"license": "apache-2.0"},
        {"authors": ["Ada Lovelace"], "references": {"arxiv": "arXiv:hep-ph/9709356"}},
    ],
    ids=["none", "full", "yaml", "address", "sentence", "case", "one"],
)
def test_what_is_generated_is_valid(metadata, tmp_path, toy_directory, validators):
    loaded = write(tmp_path / "toy", toy_directory, metadata)
    made = citation.documents(loaded)
    assert made == citation.documents(loaded), "the same bytes each time"
    (tmp_path / "CITATION.cff").write_bytes(made["CITATION.cff"])
    assert validators.citation(tmp_path / "CITATION.cff") == ""
    document = json.loads(made["codemeta.json"])
    assert document["@type"] == "SoftwareSourceCode"
    _is_codemeta(document)


def _is_codemeta(document: dict) -> None:
    assert document.pop("@context", None) in (None, citation.CODEMETA_CONTEXT)
    for key, value in document.items():
        assert key in (*TERMS["terms"], "@type", "@id"), key
        assert key != "@type" or value in TERMS["terms"]
        for item in value if isinstance(value, list) else [value]:
            if key in TERMS["addresses"]:
                assert item.startswith("https://"), f"{key}: {item} would be taken for an address"
            if isinstance(item, dict):
                _is_codemeta(item)


def test_a_citation_that_is_not_one_is_found(tmp_path, validators):
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\ntitle: no authors\nmessage: none\n")
    assert "authors" in validators.citation(tmp_path / "CITATION.cff")


def test_what_they_say(tmp_path, toy_directory):
    loaded = write(tmp_path / "toy", toy_directory, FULL)
    cff = yaml.safe_load(citation.cff(loaded))
    assert cff["authors"] == [
        {"name": "The Toy Collaboration"},
        {
            "family-names": "Lovelace",
            "given-names": "Ada",
            "orcid": "https://orcid.org/0000-0002-1825-0097",
            "affiliation": "Analytical Engines",
        },
        {"family-names": "Van der Meer", "given-names": "Simon"},
        {"family-names": "Plato"},
    ]
    assert (cff["license"], cff["version"], cff["title"]) == ("BSD-3-Clause", "1.2", FULL["title"])
    assert [reference.get("url") for reference in cff["references"]] == [
        "https://arxiv.org/abs/2102.10874",
        "https://inspirehep.net/literature/1847779",
        "https://www.hepdata.net/record/ins1847779",
        "https://doi.org/10.1000/182",
        None,
    ]
    codemeta = json.loads(citation.codemeta(loaded))
    assert codemeta["license"] == "https://spdx.org/licenses/BSD-3-Clause"
    assert codemeta["author"][1]["@id"] == "https://orcid.org/0000-0002-1825-0097"


def test_an_analysis_keeps_its_own(tmp_path, toy_directory):
    loaded = write(tmp_path / "toy", toy_directory, FULL)
    (tmp_path / "toy/CITATION.cff").write_text("mine")
    assert set(citation.documents(loaded)) == {"codemeta.json"}


@pytest.mark.parametrize(
    ("name", "text", "spdx"),
    [
        (
            "LICENSE",
            "MIT License\n\nPermission is hereby granted, free of charge,\nto any person obtaining a copy",
            "MIT",
        ),
        ("LICENCE.txt", "Redistribution and use in source and binary forms ... Neither the name of", "BSD-3-Clause"),
        (
            "COPYING",
            "                    GNU GENERAL PUBLIC LICENSE\n                       Version 3, 29",
            "GPL-3.0-only",
        ),
        ("LICENSE.md", "SPDX-License-Identifier: EUPL-1.2\n", "EUPL-1.2"),
        ("license", "Creative Commons Attribution 4.0 International Public License", "CC-BY-4.0"),
        ("LICENSE", "All rights reserved.", None),
        ("LICENSE", "SPDX-License-Identifier: MIT OR Apache-2.0", None),
    ],
)
def test_a_licence_is_recognised_by_its_text(name, text, spdx, tmp_path, toy_directory):
    loaded = write(tmp_path / "toy", toy_directory, None)
    assert citation.licence(loaded) is None
    (tmp_path / "toy" / name).write_text(text)
    found = citation.licence(loaded)
    assert found is not None
    assert (found.spdx, found.file) == (spdx, name)
    assert found.url == (f"https://spdx.org/licenses/{spdx}" if spdx else None)


def test_our_own_licence_is_recognised():
    assert citation.recognise((Path(__file__).parents[2] / "LICENSE").read_text()) == "Apache-2.0"


def test_what_recast_yml_says_wins_over_the_file(tmp_path, toy_directory):
    loaded = write(tmp_path / "toy", toy_directory, {"license": "MIT"})
    (tmp_path / "toy/LICENSE").write_text("Apache License, Version 2.0")
    assert citation.licence(loaded) == citation.Licence("MIT", "MIT", "https://spdx.org/licenses/MIT", "LICENSE")


@pytest.mark.parametrize("author", [{"orcid": "0000-0002-1825-0097"}, {"name": "A", "orcid": "12"}, 7, ""])
def test_authors_that_cannot_be(author, tmp_path, toy_directory):
    with pytest.raises(SpecError, match="authors/0"):
        write(tmp_path / "toy", toy_directory, {"authors": [author]})
