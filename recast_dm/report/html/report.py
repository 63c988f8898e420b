"""The report: its sections in order, each from one module, and the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from recast_dm.errors import UsageError
from recast_dm.report import spectrum
from recast_dm.report.html import citing, limits, provenance, scans, verdicts, workflow
from recast_dm.report.html.elements import Child, Element, h
from recast_dm.report.html.material import Material
from recast_dm.report.html.page import LARGEST, page
from recast_dm.report.html.pictures import picture
from recast_dm.report.html.tables import note, point, section


@dataclass(frozen=True, slots=True)
class Report:
    """A page, and the ids of its sections in their order."""

    html: str
    sections: tuple[str, ...]


def write(material: Material) -> Report:
    """The report of some material. Raises UsageError when it would be larger than a report may be."""
    sections = list(_sections(material))
    html = page(f"{material.name}: recast-dm report", [_header(material, sections), h("main", sections), _footer()])
    if len(html.encode()) > LARGEST:
        raise UsageError(
            f"the report of {material.source} would have {len(html.encode())} bytes; {LARGEST} are the most",
            hint="report a part of it: a slice of the scan, or a run of one point",
        )
    return Report(html, tuple(each.attributes["id"] for each in sections))


def _header(material: Material, sections: list[Element]) -> Element:
    arxiv = material.references.get("arxiv")
    links = [h("a", h("span", str(_title(each))), href=f"#{each.attributes['id']}") for each in sections]
    return h(
        "header",
        h("p", "recast-dm ", material.kind, class_="over"),
        h("h1", material.title),
        h(
            "p",
            h("code", material.name),
            [" \u00b7 ", h("a", f"arXiv:{arxiv}", href=f"https://arxiv.org/abs/{arxiv}", rel="noreferrer")]
            if arxiv
            else None,
            class_="what",
        ),
        _verdict(material),
        h("nav", links, aria_label="contents"),
    )


def _title(each: Element) -> Child:
    heading = each.children[0]
    return heading.children[0] if isinstance(heading, Element) else ""


def _verdict(material: Material) -> Element:
    if material.scan is not None:
        return scans.verdict(material.scan)
    if material.limit is not None:
        return limits.verdict(material.limit)
    if material.verdict is not None:
        return verdicts.headline(material.verdict, material.run)
    run = material.run
    if run is None:
        return h(
            "div",
            h("p", "NOT RUN", class_="word"),
            h("p", "There is no run and no limit to report."),
            class_="verdict open",
        )
    failed = [step for step in run.steps if step.state == "failed"]
    return h(
        "div",
        h("p", run.state.upper(), class_="word"),
        h("p", f"{sum(s.state == 'finished' for s in run.steps)} of {len(run.steps)} steps finished. {run.message}"),
        [note(f"{step.id}: {step.reason or step.message}", kind="note bad") for step in failed[:10]],
        class_=f"verdict {'failed' if run.state == 'failed' else 'open'}",
    )


def _footer() -> Element:
    return h(
        "footer",
        note(
            "A reinterpretation, made without the collaborations whose searches it reuses. Data of signal regions that "
            "went into post-fit uncertainties are used twice; all recasts do."
        ),
    )


def _sections(material: Material) -> Iterator[Element]:
    yield from _result(material)
    yield from _run(material)
    yield section("images", "Images", provenance.images(material.images))
    yield section(
        "provenance",
        "Provenance",
        provenance.origin(material),
        provenance.isolation(material),
        provenance.keys(material),
    )
    yield section("verify", "Verify it", provenance.commands(material))
    yield section(
        "cite",
        "Cite",
        h("ul", [h("li", _cited(work)) for work in citing.works(material)]),
        h("details", h("summary", "BibTeX"), h("pre", citing.bibtex(material))),
    )


def _cited(work: citing.Work) -> Child:
    url = f"https://arxiv.org/abs/{work.arxiv}" if work.arxiv else work.url
    return [
        work.title,
        " ",
        h("a", work.key, href=url, rel="noreferrer") if url and url.startswith("https://") else work.key,
    ]


def _result(material: Material) -> Iterator[Element]:
    if material.scan is not None:
        yield from _scan(material)
        return
    if material.verdict is not None:
        yield section("verdict", "Verdict", verdicts.comparisons(material.verdict))
    document = material.limit
    if document is not None and document.get("mu_upper_obs") is not None:
        yield section("limit", "Limit", limits.limit_table(document))
    drawn = _spectrum(material)
    if drawn is not None:
        yield section("spectrum", "Spectrum", drawn)
    if document is not None:
        if document.get("mu_upper_obs") is not None:
            yield section("closure", "Closure", limits.closure(document.get("closure", [])))
            yield section("uncertainties", "Uncertainties", limits.uncertainties(document))
        yield section("validity", "Validity", limits.validity(document["validity"]))
    if material.run is not None:
        yield section("parameters", "Parameters", _parameters(material))


def _scan(material: Material) -> Iterator[Element]:
    scan = material.scan
    if scan is None:
        return
    yield section("limits", "Limits", scans.figures(scan, relic=material.relic))
    yield section("planes", "Direct and indirect detection", scans.planes(scan, material.curves))
    yield section("closure", "Closure", limits.closure(scan.document["closure"]))
    yield section("uncertainties", "Uncertainties", scans.uncertainties(scan))
    yield section("validity", "Validity", scans.validity(scan))
    yield section("parameters", "Parameters", scans.about(scan))
    yield section("points", "Points", scans.points(scan))


def _spectrum(material: Material) -> Element | None:
    found = material.likelihood
    if found is None:
        return None
    label = str(material.model or "signal")
    if material.run is not None:
        label = f"{label}: {point(dict(material.run.about.get('parameters') or {}))}"
    drawn = spectrum.figure(found.spectrum(), found.observable, material.title, label, material.limit)
    return picture(
        drawn,
        "data, background and signal in the bins of the limit",
        "Data, background with its uncertainty, and the signal at \u03bc = 1.",
    )


def _parameters(material: Material) -> Child:
    run, original = material.run, material.original
    if run is None:
        return None
    other = original if material.kind == "run" else None
    signal: Any = run.about.get("parameters") or {}
    known = None if other is None else {name: _float(each) for name, each in other.parameters.items()}
    parts: list[Child] = []
    if signal:
        parts += [h("h3", "Signal: ", str(run.about.get("model"))), limits.parameters(signal, known, "parameter")]
    captured = None if other is None else other.initdata
    initial = limits.parameters(run.about.get("initdata") or {}, captured, "init parameter")
    parts.append(h("details", h("summary", "Init parameters", h("small", " what the workflow got")), initial))
    if other is None and material.kind == "run":
        parts.append(
            note("The capsule is not known here, so there is nothing to compare with: name it with --capsule.")
        )
    return parts


def _float(each: Any) -> Any:
    return float(each) if isinstance(each, int) and not isinstance(each, bool) else each


def _run(material: Material) -> Iterator[Element]:
    drawn = workflow.picture(material)
    if drawn is not None:
        yield section("workflow", "Workflow", drawn)
    run = material.run
    if run is None:
        if material.scan is not None:
            place = material.scan.document["run_dir"]
            yield section(
                "run",
                "Run",
                note(f"The run directory is not here{f': {place}' if place else ''}; steps and logs are in it."),
            )
        return
    yield section("timeline", "Timeline", workflow.progress(run))
    yield section("steps", "Steps", workflow.steps(run, material.records))
    yield section("logs", "Logs", workflow.logs(run))
