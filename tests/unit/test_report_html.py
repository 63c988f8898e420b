"""Reports as HTML: escaped by construction, complete in themselves, and with the numbers of what they report."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import localruns
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm import schemas, signals, spec
from recast_dm.backends import Work
from recast_dm.backends.local import Local
from recast_dm.curves import shipped, verdict
from recast_dm.curves.point import Prediction
from recast_dm.engine import history
from recast_dm.errors import UsageError
from recast_dm.report import html
from recast_dm.report import scan as scans_
from recast_dm.report.html import citing, elements, limits, material, page, report, tables, timeline, workflow
from recast_dm.report.html.elements import Element, Style, h, render
from recast_dm.spec import text
from tests import scans

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>]]>--></pre></style>&amp;\x00\x1b[31m\u202e\ud800"


class Read(HTMLParser):
    """What a parser makes of a page: elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in elements.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


def limit(**changes):
    point = scans.point({"m_med": 1000.0, "m_dm": 1.0, "g_q": 0.25, "g_dm": 1.0, "g_l": 0.0})
    common = {"schema": "recast-dm/limit/1", "analysis": "toy", "title": "Toy", "model": "spin1-axial", "order": "LO"}
    return {**common, **point, "references": {}, **changes}


# --- elements --------------------------------------------------------------------------------------------------------


@given(st.text())
def test_any_text_is_text_and_nothing_else(text):
    read = Read(render(h("p", text, title=text)))
    assert [tag for tag, _ in read.elements] == ["p"]
    assert read.text == read.elements[0][1]["title"]
    assert len(read.text) == len(text)
    shown = [(a, b) for a, b in zip(text, read.text, strict=True) if b != "\ufffd"]
    assert all(a == b for a, b in shown)


@pytest.mark.parametrize(
    ("tag", "attributes"),
    [
        ("script", {}),
        ("iframe", {}),
        ("p onclick", {}),
        ("p", {"onclick": "x"}),
        ("p", {"style": "x"}),
        ("a", {"href": "javascript:alert(1)"}),
        ("a", {"href": "http://example.org"}),
        ("img", {"src": "https://example.org/x.png"}),
        ("img", {"src": "data:text/html,x"}),
    ],
)
def test_what_has_no_place_in_a_report(tag, attributes):
    with pytest.raises(ValueError, match=r"has no place|leads to|comes from"):
        Element(tag, attributes)


def test_a_style_sheet_cannot_end_itself():
    with pytest.raises(ValueError, match="no markup"):
        Style("p{} </style><script>")


def test_the_policy_allows_our_style_sheet_only():
    text = page.page("t", "body")
    (policy,) = (a["content"] for tag, a in Read(text).elements if a.get("http-equiv") == "Content-Security-Policy")
    sheet = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    found = base64.b64encode(hashlib.sha256(sheet[1].encode()).digest()).decode()
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src 'sha256-{found}'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]


# --- a limit ---------------------------------------------------------------------------------------------------------


def test_a_limit_says_its_verdict_and_its_numbers():
    read = Read(html.fragment(limit()))
    assert "EXCLUDED at 95 % CL, expected to be" in read.text
    assert "spin1-axial: m_med = 1000, m_dm = 1" in read.text
    observed = scans.mu_observed(1000, 1)
    assert f"observed {observed:.3g}" in read.text
    assert "monte-carlo1 %invented for tests" in read.text
    assert "✓ on-shell" in read.text


def test_a_point_that_is_not_covered_says_why():
    point = scans.point({"m_med": 3000.0, "m_dm": 1.0, "g_q": 0.25, "g_dm": 1.0, "g_l": 0.0})
    read = Read(html.fragment({**point, "schema": "recast-dm/limit/1", "analysis": "toy", "model": "spin1-axial"}))
    assert "NOT COVERED" in read.text
    assert "m_med = 3000 GeV lies outside of the map" in read.text


def test_closure_stands_beside_the_published_number():
    found = [dict(scans.document()["closure"][0])]
    text = Read(render(limits.closure(found))).text
    assert "0.1660.111.51" in text
    assert "disagrees (within 20 %)" in text
    assert "not run" in Read(render(limits.closure(scans.document()["closure"]))).text


def test_a_k_factor_is_said_beside():
    corrected = {"name": "drell-yan", "source": "ours", "value": 1.3, "mu_upper_obs": 0.1, "excluded": True}
    text = Read(html.fragment(limit(k_factor={**corrected, "mu_upper_exp": [0.1] * 5}))).text
    assert "With K = 1.3 (drell-yan, ours)" in text


def test_the_gauge_is_in_order():
    drawn = render(limits.gauge(0.94, (0.29, 0.39, 0.55, 0.8, 1.14)))
    places = {kind: float(x) for kind, x in re.findall(r'<(?:line|circle) class="(\w+)" (?:x1|cx)="([\d.]+)"', drawn)}
    assert places["median"] < places["observed"] < places["unit"]


def test_parameters_against_the_captured_ones():
    text = Read(render(limits.parameters({"m_med": 2000.0, "m_dm": 1.0}, {"m_med": 2250.0, "m_dm": 1.0}, "x"))).text
    assert "m_med22502000changed" in text
    assert "m_dm11as captured" in text


def test_hostile_words_stay_words():
    document = limit(analysis=HOSTILE, model=HOSTILE, parameters={HOSTILE: 1.0}, correlation_model=HOSTILE)
    document["validity"] = [{"name": HOSTILE, "ok": False, "text": HOSTILE}]
    document["uncertainties"] = [{"source": HOSTILE, "relative": 0.1, "how": HOSTILE}]
    document["closure"] = [{**scans.document()["closure"][0], "source": HOSTILE}]
    read = Read(html.fragment(document))
    assert {tag for tag, _ in read.elements} <= elements.ELEMENTS | {"style"}
    assert "<script>alert(1)</script>" in read.text
    assert "\x1b" not in read.text
    assert "\u202e" not in read.text


def test_numbers_and_values():
    assert tables.number(6.03e-41) == "6.03 \u00d7 10\u207b\u2074\u00b9"
    assert tables.number(None) == "\u2013"
    assert tables.value([1] * 400).endswith("characters)")
    assert tables.value(True) == "true"


def test_other_documents_have_no_html():
    with pytest.raises(UsageError, match="has no HTML"):
        html.fragment({"schema": "recast-dm/run/1"})


# --- a scan ----------------------------------------------------------------------------------------------------------


def test_a_scan_as_a_fragment_and_as_a_report(tmp_path):
    document = scans.document()
    read = Read(html.fragment(document))
    assert "8 of 36 points EXCLUDED" in read.text
    assert "observed 1850" in read.text
    file = tmp_path / "scan.json"
    file.write_text(json.dumps(document))
    found = material.of_scan(scans_.read(file), file, list)
    written = report.write(found)
    read = Read(written.html)
    assert "not covered: 6 of 36 points" in read.text
    assert "The run directory is not here" in read.text
    assert f"--digest sha256:{'c0de' * 16} --rerun" in read.text
    assert "--grid m_med=500,1000,1500,2000,2500,3000" in read.text
    alts = [a["alt"] for tag, a in read.elements if tag == "img"]
    assert alts[:2] == ["Exclusion in the plane", "Limit against m_med"]
    assert alts[2:] == [f"{name} against m_dm" for name in ("SD-p", "SD-n", "sigmav-total")]
    assert "spin1-axial has no SI scattering" in read.text
    assert len(written.html.encode()) < page.LARGEST
    assert written.sections[:5] == ("limits", "planes", "closure", "uncertainties", "validity")


def test_a_scan_with_one_axis_and_one_with_couplings():
    assert "m_med = 500" not in Read(html.fragment(scans.document(m_dm=(1.0,)))).text.split("points")[-1]
    assert "5 m_med (500 to 2500) \u00d7 4 g_q (0.05 to 0.5)" in Read(html.fragment(scans.couplings())).text


def test_a_rescaled_scan_says_from_where(tmp_path):
    document = scans.document(m_dm=(1.0,), fixed={"g_q": 0.1, "g_dm": 1.0, "g_l": 0.0})
    before = {"g_q": 0.25, "g_dm": 1.0, "g_l": 0.0}
    document["rescaled"] = {"from": {"model": "spin1-axial", "fixed": before}, "source": "arXiv:2203.12035"}
    for point in document["points"]:
        if point["status"] == "done":
            point.update(cls_obs=None, cls_exp=None)
    file = tmp_path / "scan.json"
    file.write_text(json.dumps(document))
    text = Read(report.write(material.of_scan(scans_.read(file), file, list)).html).text
    assert "rescaled, not run at these couplings: from spin1-axial at g_q = 0.25" in text
    assert re.search(r"recast-dm scan .* --set g_q=0.25 --set g_dm=1 --set g_l=0\n", text)
    assert re.search(r"recast-dm rescale .* --set m_dm=1 --set g_q=0.1\n?", text)


def test_hostile_scans(tmp_path):
    document = scans.document(m_dm=(1.0,))
    document |= {"analysis": HOSTILE[:-1], "title": HOSTILE[:-1], "references": {"arxiv": HOSTILE[:-1]}}
    for point in document["points"]:
        if point["status"] == "not covered":
            point["reason"] = HOSTILE[:-1]
    document["overrides"] = {HOSTILE[:-1]: HOSTILE[:-1]}
    file = tmp_path / "scan.json"
    file.write_text(json.dumps(document))
    read = Read(report.write(material.of_scan(scans_.read(file), file, list)).html)
    assert {tag for tag, _ in read.elements} <= elements.ELEMENTS | {"style"}
    links = [a["href"] for tag, a in read.elements if tag == "a"]
    assert all(link.startswith(("#", "https://")) for link in links)


# --- a run -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    said = "echo '<script>alert(1)</script> ]]> & \"quotes\"'; printf 'a\\033[31mred\\033[0m\\rb\\n'"
    localruns.execute(tmp_path / "run", signal=said)
    return history.read(tmp_path / "run")


def test_a_run_shows_its_steps_its_logs_and_its_keys(run):
    written = report.write(material.of_run(run, list))
    text = written.html
    read = Read(text)
    assert "FINISHED9 of 9 steps finished" in read.text
    assert '<script>alert(1)</script> ]]> & "quotes"' in read.text
    assert "<script" not in text
    assert "ared\nb" in read.text
    for step in run.steps:
        assert run.record(step.id)["key"] in read.text
    assert {"workflow", "timeline", "steps", "logs", "provenance", "verify", "cite"} <= set(written.sections)
    assert "The capsule is not known here" in read.text


def test_the_same_run_gives_the_same_bytes(run):
    first, again = (report.write(material.of_run(history.read(run.directory), list)).html for _ in range(2))
    assert first == again


def test_a_failed_run_opens_the_log_of_what_failed(tmp_path):
    from recast_dm.errors import StepFailed

    with pytest.raises(StepFailed):
        localruns.execute(tmp_path / "run", check="echo this is why; exit 3", jobs=1)
    read = Read(report.write(material.of_run(history.read(tmp_path / "run"), list)).html)
    assert "FAILED" in read.text
    assert "exit code 3" in read.text
    assert [a for tag, a in read.elements if tag == "details" and "open" in a]


def test_a_long_log_loses_its_middle_only(run, tmp_path):
    step = next(step for step in run.steps if step.log)
    step.log.write_text("first line\n" + "x" * 100_000 + "\nlast line\n")
    text = Read(render(workflow.logs(run))).text
    assert "first line" in text
    assert "last line" in text
    assert "is left out" in text
    assert len(text) < 30_000


def test_the_timeline_has_a_bar_a_step(run):
    bars = timeline.bars(run)
    assert len(bars) == len(run.steps)
    assert all(0 <= bar.began <= bar.ended for bar in bars)
    assert timeline.marks(0.03) == [0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03]


def test_a_limit_that_a_run_left_is_its_headline(run):
    document = limit(
        status="done", capsule=None, overrides={}, images=[], steps=[], plots=[], run_dir="x", k_factor=None
    )
    assert schemas.problem("limit-1", document) is None
    (run.directory / "result.json").write_text(json.dumps(document))
    read = Read(report.write(material.of_run(run, list)).html)
    assert "EXCLUDED at 95 % CL" in read.text


def test_a_verdict_of_curves_is_its_headline(run):
    """V1 at 1 TeV, m_dm = 100 GeV: sigma_SI is 6.03e-41 cm2, and LZ allows some 1e-48 cm2."""
    planes = signals.find("spin1-vector").feeds(signals.find("spin1-vector").point({"m_med": 1000, "m_dm": 100}))[
        "planes"
    ]
    found = verdict.compare(Prediction.from_document(planes), shipped(), ("SI", "SD-p"))
    text = Read(report.write(replace(material.of_run(run, list), verdict=found)).html).text
    assert "EXCLUDED at 90 % CL by lz-2024-si" in text
    assert "lz-2024-siSI, cm26.03 \u00d7 10\u207b\u2074\u00b9" in text
    assert "the model predicts no SD-p cross-section" in text
    assert "hold if chi is all of the dark matter" in text
    assert "@misc{arXiv:2410.17036," in text
    nothing = verdict.compare(Prediction.from_document({"m_dm": 1e9, "self_conjugate": True}), shipped(), ("SI",))
    assert "NOT COMPARABLE" in Read(report.write(replace(material.of_run(run, list), verdict=nothing)).html).text


def test_a_verdict_is_found_in_the_files_of_a_run(tmp_path):
    planes = {"m_dm": 100.0, "self_conjugate": False, "SI": 6e-41}
    document = verdict.compare(Prediction.from_document(planes), shipped(), ("SI",)).document()
    (tmp_path / "v.json").write_text(json.dumps(document))
    stages = localruns.document(check="")["stages"][:1]
    stages[0] = localruns.stage("verdict", f"cp {tmp_path}/v.json {{out}}", {})
    step = stages[0]["scheduler"]
    step["parameters"]["out"] = "{workdir}/verdict.json"
    step["step"]["publisher"] = {"publisher_type": "interpolated-pub", "publish": {"verdict": "{workdir}/verdict.json"}}
    workflow = spec.parse_workflow(text.parse(json.dumps({"stages": stages}), "workflow.yml"))
    about = {"analysis": "curves", "capsule": None, "model": None, "parameters": None}
    work = Work(workflow=workflow, initdata={}, about=about)
    local = Local(runtime=None, jobs=1, cache=None, allow_host=True)
    local.execute(work, directory=tmp_path / "run", observer=lambda _: None)
    found = material.of_run(history.read(tmp_path / "run"), list)
    assert found.verdict is not None
    assert found.verdict.document() == document


def test_what_is_cited(run):
    document = scans.document()
    found = material.of_scan(scans_.of_document(document), run.directory, list)
    text = citing.bibtex(found)
    assert text.startswith("@misc{arXiv:2107.13021,")
    for number in ("1603.04156", "1510.02110", "1007.1727"):
        assert text.count(f"@misc{{arXiv:{number},") == 1
    assert "pyhf: pure-Python implementation" in text
    work = citing.Work(key="x},evil", title="t}} @misc{evil", url=None)
    assert work.bibtex().count("{") == work.bibtex().count("}")
    assert "@misc{x--evil," in work.bibtex()


def test_a_capsule(toy_capsule):
    written = report.write(material.of_capsule(toy_capsule))
    read = Read(written.html)
    assert toy_capsule.digest in read.text
    assert "recast-dm verify toy.capsule --digest" in read.text
    assert "workflow" in written.sections
