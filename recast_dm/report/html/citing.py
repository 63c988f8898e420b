"""What must be cited, as BibTeX: the analysis, the signal model, the programs, the statistics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from recast_dm import signals
from recast_dm.errors import RecastError
from recast_dm.report.html.material import Material

_STATISTICS = ("1007.1727", "Asymptotic formulae for likelihood-based tests of new physics")
_PROGRAMS = {
    "pythia": ("2203.11601", "A comprehensive guide to the physics and usage of PYTHIA 8.3"),
    "fastjet": ("1111.6097", "FastJet user manual"),
}
"""Programs that ask to be cited, by what the settings, images or logs of a run call them."""


@dataclass(frozen=True, slots=True, order=True)
class Work:
    """Something to cite: its arXiv number or another address, and its title where that is known."""

    key: str
    title: str
    arxiv: str | None = None
    url: str | None = None

    def bibtex(self) -> str:
        """The entry. The authors are those of the address: none are made up here.

        >>> print(Work(key="arXiv:1007.1727", title="Asymptotic formulae", arxiv="1007.1727").bibtex())
        @misc{arXiv:1007.1727,
          title = {{Asymptotic formulae}},
          eprint = {1007.1727},
          archivePrefix = {arXiv},
          url = {https://arxiv.org/abs/1007.1727}
        }
        """
        fields = [("title", f"{{{_braced(self.title)}}}")]
        if self.arxiv:
            fields += [("eprint", self.arxiv), ("archivePrefix", "arXiv")]
        url = f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url
        fields += [("url", url)] if url else []
        inside = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields)
        return f"@misc{{{_key(self.key)},\n{inside}\n}}"


def _braced(text: str) -> str:
    """Text that cannot end its own braces."""
    return re.sub(r"[{}\\]", "", text)


def _key(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9:._-]", "-", text)


def works(material: Material) -> tuple[Work, ...]:
    """What a report has to cite, each once: the analysis first."""
    found = [*_analysis(material), *_model(material.model), *_programs(material), _arxiv(*_STATISTICS)]
    found += _curves(material)
    return tuple({work.key: work for work in reversed(found)}.values())[::-1]


def bibtex(material: Material) -> str:
    """The BibTeX file of a report, pyhf's own entries included."""
    return "\n\n".join([*(work.bibtex() for work in works(material)), _pyhf()])


def _arxiv(number: str, title: str) -> Work:
    return Work(key=f"arXiv:{number}", title=title, arxiv=number)


def _analysis(material: Material) -> Iterator[Work]:
    references: Mapping[str, str] = material.references
    if arxiv := references.get("arxiv"):
        yield Work(key=f"arXiv:{arxiv}", title=material.title, arxiv=_braced(arxiv))
    if hepdata := references.get("hepdata"):
        address = f"https://www.hepdata.net/record/{_braced(hepdata)}"
        yield Work(key=f"hepdata:{hepdata}", title=f"HEPData record of: {material.title}", url=address)
    if not arxiv and (doi := references.get("doi")):
        yield Work(key=f"doi:{doi}", title=material.title, url=f"https://doi.org/{_braced(doi)}")


def _model(name: str | None) -> Iterator[Work]:
    if name is None:
        return
    try:
        record = signals.find(name).record
    except RecastError:
        return
    yield from (_arxiv(each.arxiv, each.title) for each in record.citations)


def _curves(material: Material) -> Iterator[Work]:
    """The limits that a verdict rests on, and those in the planes of a scan: of quantities that its model has."""
    if material.verdict is not None:
        yield from (
            _cited(each.experiment, each.year, each.citation) for each in material.verdict.comparisons if each.ratio
        )
    try:
        planes = signals.find(material.model or "").record.planes
    except RecastError:
        return
    wanted = (*planes.dd, *(("sigmav",) if planes.id == "s-wave" else ()))
    for curve in material.curves:
        if curve.quantity in wanted:
            yield _cited(curve.experiment, curve.year, curve.citation.document())


def _cited(experiment: str, year: int, citation: Mapping[str, str | None]) -> Work:
    arxiv, doi, text = citation["arxiv"], citation["doi"], citation["text"] or ""
    url = f"https://doi.org/{_braced(doi)}" if doi else None
    key = f"arXiv:{arxiv}" if arxiv else f"doi:{doi}" if doi else text
    return Work(key=key, title=f"{experiment} {year}: {text}", arxiv=_braced(arxiv) if arxiv else None, url=url)


def _programs(material: Material) -> Iterator[Work]:
    said = " ".join(_said(material)).lower()
    yield from (_arxiv(*work) for name, work in _PROGRAMS.items() if name in said)


def _said(material: Material) -> Iterable[str]:
    """Where the names of programs are looked for: init parameters, image names, the beginnings of logs."""
    run = material.run
    yield from (str(image["reference"]) for image in material.images)
    if run is None:
        return
    yield str(run.about.get("initdata", {}))[:20_000]
    for step in run.steps[:20]:
        if step.log is not None and step.log.is_file():
            with step.log.open(encoding="utf-8", errors="replace") as file:
                yield file.read(4_000)


def _pyhf() -> str:
    from pyhf import utils

    return str(utils.citation()).strip()
