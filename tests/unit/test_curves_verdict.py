"""A point beside the limits: the factor for Dirac dark matter, channels, what decides, and the program of the stage."""

import json
import math
from functools import partial
from pathlib import Path

import pytest

from recast_dm import batch, schemas
from recast_dm.curves import QUANTITIES, Citation, Curve, __main__, shipped, verdict
from recast_dm.curves.point import Prediction, from_words
from recast_dm.errors import StatisticsError, UsageError

near = partial(pytest.approx, rel=1e-9, abs=0.0)
"""Relative only: the absolute tolerance of pytest's own is passed by any cross-section."""

DIRAC = Prediction(m_dm=200.0, self_conjugate=False, sigmav={"total": 2.2e-25, "bb": 4e-26, "tautau": 1e-23})


def line(name: str, quantity: str, limit: float, **changes) -> Curve:
    kind = {"channel": "bb", "self_conjugate": True} if quantity == "sigmav" else {}
    said = {
        "name": name,
        "experiment": "Toy",
        "year": 2024,
        "quantity": quantity,
        "confidence_level": 0.9,
        "citation": Citation(text="a test"),
        "dm_assumption": "all of it",
        "masses": (10.0, 1000.0),
        "limits": (limit, limit),
    }
    return Curve(**{**said, **kind, **changes})


def only(found: verdict.Verdict, **wanted) -> verdict.Comparison:
    [one] = [each for each in found.comparisons if all(getattr(each, k) == v for k, v in wanted.items())]
    return one


def test_a_value_above_the_limit_is_excluded_and_below_it_is_not():
    curves = (line("a", "SI", 1e-46),)
    for value, excluded in ((1.001e-46, True), (0.999e-46, False), (0.0, False)):
        found = verdict.compare(Prediction(m_dm=50.0, self_conjugate=False, scattering={"SI": value}), curves, ["SI"])
        assert found.excluded is excluded
        assert found.strongest is not None
        assert found.strongest.ratio == near(value / 1e-46)


def test_scattering_is_the_same_for_dirac_and_majorana():
    for kind in (True, False):
        found = verdict.compare(
            Prediction(m_dm=50.0, self_conjugate=kind, scattering={"SI": 3e-46}), (line("a", "SI", 1e-46),), ["SI"]
        )
        assert only(found).ratio == near(3.0)
        assert verdict.HALVED not in found.notes


@pytest.mark.parametrize(
    ("dark_matter", "assumed", "factor"),
    [(False, True, 0.5), (True, True, 1.0), (False, False, 1.0), (True, False, 2.0)],
)
def test_annihilation_is_halved_for_dirac_only(dark_matter, assumed, factor):
    point = Prediction(m_dm=50.0, self_conjugate=dark_matter, sigmav={"bb": 3e-24})
    found = verdict.compare(point, (line("a", "sigmav", 1e-24, self_conjugate=assumed),), ["sigmav"])
    assert only(found).model == near(factor * 3e-24)
    assert only(found).factor == factor
    assert (verdict.HALVED in found.notes) == (factor == 0.5)


def test_each_channel_meets_its_own_limit():
    """Canary: the total, or another channel, beside a limit would exclude what is not."""
    curves = (line("b", "sigmav", 1e-24), line("tau", "sigmav", 1e-24, channel="tautau"))
    found = verdict.compare(DIRAC, curves, ["sigmav"])
    assert only(found, curve="b").model == near(2e-26)
    assert only(found, curve="tau").model == near(5e-24)
    assert found.strongest is not None
    assert found.strongest.curve == "tau"
    w = verdict.compare(DIRAC, (line("w", "sigmav", 1e-24, channel="WW"),), ["sigmav"])
    assert w.excluded is None
    assert "into WW" in (w.reason or "")


def test_light_quarks_are_shown_beside_the_limit_for_b_and_never_decide():
    point = Prediction(
        m_dm=200.0, self_conjugate=False, sigmav={"uu": 1e-21, "dd": 1e-21, "ss": 1e-21, "cc": 1e-21, "bb": 1e-21}
    )
    found = verdict.compare(point, shipped(), ["sigmav"])
    proxy = only(found, channel="quarks")
    assert proxy.model == near(2.5e-21)
    assert proxy.excluded
    assert not proxy.used
    assert proxy.reason == verdict.PROXY
    only_light = Prediction(m_dm=200.0, self_conjugate=False, sigmav={"uu": 1e-20, "bb": 0.0})
    assert verdict.compare(only_light, shipped(), ["sigmav"]).excluded is False


def test_a_curve_of_tau_pairs_from_the_sun_is_shown_and_never_decides():
    """Canary: the curve of IceCube is exceeded here."""
    by_name = {curve.name: curve for curve in shipped()}
    value = 1.1 * by_name["icecube-2016-sdp-tautau"].at(2000.0)
    point = Prediction(m_dm=2000.0, self_conjugate=False, scattering={"SD-p": value})
    found = verdict.compare(point, (by_name["icecube-2016-sdp-tautau"],), ["SD-p"])
    [sun] = found.comparisons
    assert sun.excluded
    assert not sun.used
    assert found.excluded is None
    assert found.strongest is None
    assert "in brackets" in "\n".join(found.remarks())
    assert found.rows()[0][5] == "(excluded)"


@pytest.mark.parametrize(
    ("point", "said"),
    [
        (Prediction(m_dm=5.0, self_conjugate=False, scattering={"SI": 1e-40}), "outside of the curve"),
        (Prediction(m_dm=50.0, self_conjugate=False), "predicts no SI"),
        (Prediction(m_dm=None, self_conjugate=None, scattering={"SI": 1e-40}), "no dark matter"),
    ],
)
def test_what_cannot_be_compared_has_no_verdict_and_a_reason(point, said):
    found = verdict.compare(point, (line("a", "SI", 1e-46),), ["SI"])
    assert found.excluded is None
    assert said in (found.reason or "")
    assert found.sentence.startswith("not comparable")
    assert found.rows() == []
    assert schemas.problem("verdict-1", found.document()) is None


def test_the_strongest_is_not_the_lowest_curve_but_the_largest_ratio_that_counts():
    curves = (line("weak", "SI", 1e-45), line("strong", "SI", 1e-47), line("sdp", "SD-p", 1e-40))
    point = Prediction(m_dm=50.0, self_conjugate=False, scattering={"SI": 1e-46, "SD-p": 1e-39})
    both = verdict.compare(point, curves, ["SI", "SD-p"])
    assert both.strongest is not None
    assert both.strongest.curve in ("strong", "sdp")
    assert both.strongest.ratio == near(10.0)
    assert verdict.compare(point, curves, ["SD-p"]).comparisons[0].curve == "sdp"
    assert verdict.compare(point, curves[:1], ["SI"]).excluded is False


def test_the_benchmarks_of_the_literature():
    """At 1 TeV, m_dm 100: sigma_SI = 6.03e-41 cm2 of V1, far above LZ; sigma_SD = 2.06e-42 of A1 (arXiv:1603.04156)."""
    vector = Prediction(m_dm=100.0, self_conjugate=False, scattering={"SI": 6.03e-41})
    found = verdict.compare(vector, shipped(), ["SI", "SD-p", "SD-n"])
    assert found.excluded
    assert found.strongest is not None
    assert found.strongest.curve == "lz-2024-si"
    assert found.strongest.confidence_level == 0.9
    axial = Prediction(m_dm=100.0, self_conjugate=False, scattering={"SD-p": 2.06e-42, "SD-n": 2.06e-42})
    found = verdict.compare(axial, shipped(), ["SI", "SD-p", "SD-n"])
    assert found.strongest is not None
    assert found.strongest.curve == "lz-2024-sdn"
    assert only(found, curve="lz-2024-sdp").excluded is False


def test_a_wimp_of_thermal_strength_is_far_below_the_limit_from_dwarf_galaxies():
    thermal = Prediction(m_dm=500.0, self_conjugate=True, sigmav={"bb": 2.2e-26, "tautau": 0.0})
    found = verdict.compare(thermal, shipped(), ["sigmav"])
    assert found.excluded is False
    assert found.strongest is not None
    assert found.strongest.ratio is not None
    assert found.strongest.ratio < 1e-2


# --- documents ---------------------------------------------------------------------------------------------------


def test_a_document_fits_its_schema_and_is_read_back(tmp_path):
    found = verdict.compare(DIRAC, shipped(), QUANTITIES)
    assert schemas.problem("verdict-1", found.document()) is None
    place = tmp_path / "verdict.json"
    place.write_text(json.dumps(found.document()))
    assert verdict.read(place) == found


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda d: d.update(excluded=not d["excluded"]), "contradicts itself"),
        (lambda d: d["curves"][11].update(ratio=2.0), "contradicts itself"),
        (lambda d: d.pop("curves"), "no verdict"),
        (lambda d: d.update(schema="recast-dm/limit/1"), "no verdict"),
    ],
)
def test_a_damaged_verdict_is_refused(tmp_path, damage, said):
    document = verdict.compare(DIRAC, shipped(), QUANTITIES).document()
    damage(document)
    (tmp_path / "v.json").write_text(json.dumps(document))
    with pytest.raises(StatisticsError, match=said):
        verdict.read(tmp_path / "v.json")
    (tmp_path / "v.json").write_text("{")
    with pytest.raises(StatisticsError, match="cannot be read"):
        verdict.read(tmp_path / "v.json")


# --- points ------------------------------------------------------------------------------------------------------


def test_words_and_a_document_say_the_same():
    words = ["m_dm=200.0", "self_conjugate=false", "SI=6e-41", "sigmav.total=2e-25", "sigmav.bb=4e-26"]
    document = {
        "m_dm": 200.0,
        "self_conjugate": False,
        "SI": 6e-41,
        "SD-p": None,
        "SD-n": None,
        "sigmav": {"total": 2e-25, "bb": 4e-26},
    }
    assert from_words(words) == Prediction.from_document(document)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"m_dm": -1.0}, "m_dm is -1.0"),
        ({"m_dm": 0}, "m_dm is 0"),
        ({"m_dm": "heavy"}, "m_dm is 'heavy'"),
        ({"m_dm": True}, "m_dm is True"),
        ({"SI": math.nan}, "SI is nan"),
        ({"SI": math.inf}, "SI is inf"),
        ({"SD-p": -1e-40}, "SD-p is"),
        ({"sigmav": 1e-26}, "no mapping"),
        ({"sigmav": {"bb": "much"}}, "sigmav.bb is"),
        ({"self_conjugate": "no"}, "self_conjugate is"),
        ({"si": 1e-40}, "has no 'si'"),
    ],
)
def test_what_is_no_point_is_refused(document, said):
    with pytest.raises(UsageError, match=said):
        Prediction.from_document(document)


@pytest.mark.parametrize("word", ["m_dm", "=1", "m_dm=1=2", "SI=1e-40 SI=1", "sigmav=1e-26"])
def test_words_that_say_nothing_are_refused(word):
    with pytest.raises(UsageError):
        from_words([*word.split(), "m_dm=100", "sigmav.bb=1e-26"])


# --- the program -------------------------------------------------------------------------------------------------


def call(*words: str | Path) -> int:
    return __main__.main([str(word) for word in words])


def test_the_program_writes_the_verdict(tmp_path):
    place = tmp_path / "verdict.json"
    assert call("verdict", "--point", "m_dm=100", "SI=6.03e-41", "--curves", "SI,SD-p", "--verdict", place) == 0
    found = verdict.read(place)
    assert found.excluded
    assert {each.quantity for each in found.comparisons} == {"SI", "SD-p"}


def test_a_point_in_a_file_gives_the_same_bytes(tmp_path):
    point = tmp_path / "point.json"
    point.write_text(json.dumps({"m_dm": 100.0, "self_conjugate": False, "SI": 6.03e-41, "SD-n": None}))
    words = ("m_dm=100.0", "self_conjugate=false", "SI=6.03e-41")
    assert call("verdict", "--point", point, "--curves", "SI", "--verdict", tmp_path / "a.json") == 0
    assert call("verdict", "--point", *words, "--curves", "SI", "--verdict", tmp_path / "b.json") == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--point", "nothing.json", "--curves", "SI"), "cannot read the point"),
        (("--point", "m_dm=-1", "--curves", "SI"), "m_dm is '-1'"),
        (("--point", "m_dm=1", "--curves", "XX"), "no curve limits 'XX'"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(tmp_path, capsys, words, said):
    assert call("verdict", *words, "--verdict", tmp_path / "v.json") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "v.json").exists()


def test_a_batch_gives_what_each_alone_gives(tmp_path):
    jobs = []
    for n, mass in enumerate(("100", "30", "-1")):
        (tmp_path / str(n)).mkdir()
        argv = ("verdict", "--point", f"m_dm={mass}", "SI=1e-47", "--curves", "SI", "--verdict", "verdict.json")
        where = str(tmp_path / str(n))
        jobs.append(batch.Job(cwd=where, argv=argv, log=f"{where}.log", status=f"{where}.status"))
    (tmp_path / "jobs.json").write_text(batch.text(tuple(jobs)))
    assert batch.run(__main__.main, tmp_path / "jobs.json") == 1
    assert [Path(job.status).read_text().strip() for job in jobs] == ["0", "0", "2"]
    assert "m_dm" in Path(jobs[2].log).read_text()
    alone = ("verdict", "--point", "m_dm=30", "SI=1e-47", "--curves", "SI", "--verdict", tmp_path / "alone.json")
    assert call(*alone) == 0
    assert (tmp_path / "alone.json").read_bytes() == (tmp_path / "1" / "verdict.json").read_bytes()
