"""Direct detection and VERITAS as analyses: what a model feeds reaches the program whole, and the physics is right."""

import json
from pathlib import Path

import jq
import pytest

from recast_dm import signals
from recast_dm.curves import __main__, shipped, verdict
from recast_dm.curves.point import Prediction, from_words
from recast_dm.model import FromParJqPublisher
from recast_dm.reinterpret.inputs import signal_inputs
from recast_dm.spec import analysis

SPECS = Path(__file__).parents[2] / "specs"
NAMES = ("dd-curves", "id-veritas-dsph")
POINTS = [
    ("spin1-vector", {"m_med": 1000, "m_dm": 100}),
    ("spin1-axial", {"m_med": 1000, "m_dm": 100, "g_q": 0.1, "g_l": 0.1}),
    ("spin0-scalar", {"m_med": 500, "m_dm": 200, "g_q": 1}),
    ("spin0-pseudoscalar", {"m_med": 500, "m_dm": 200, "g_q": 1}),
    ("add", {"n": 2, "m_d": 9000}),
    ("sbottom-higgs", {"m_sbottom": 1300, "m_n2": 205, "m_n1": 60}),
]


def planes(model: str, values: dict[str, float]) -> dict:
    found = signals.find(model)
    return dict(found.feeds(found.point(values))["planes"])


def words(name: str, fed: object) -> list[str]:
    """What the first stage publishes, by the program that stands in the specification."""
    loaded = analysis.load(SPECS / name)
    [publisher] = [
        spec.publisher for _, spec in loaded.workflow.step_specs() if isinstance(spec.publisher, FromParJqPublisher)
    ]
    return jq.compile(publisher.script).input_value({"point": json.loads(json.dumps(fed))}).first()["words"]


def asked(name: str, model: str, values: dict[str, float], place: Path) -> verdict.Verdict:
    """The verdict of an analysis' program on a point, as the workflow calls it."""
    loaded = analysis.load(SPECS / name)
    point = signal_inputs(loaded.signal, {"planes": planes(model, values)}, model)["point"]
    quantities = loaded.example.initdata["curves"]
    argv = ["verdict", "--point", *words(name, point), "--curves", *quantities, "--verdict", str(place)]
    assert __main__.main(argv) == 0
    return verdict.read(place)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("model", "values"), POINTS)
def test_what_a_model_feeds_reaches_the_program_whole(name, model, values):
    fed = planes(model, values)
    assert from_words(words(name, fed)) == Prediction.from_document(fed)


def test_a_number_that_yaml_takes_for_a_text_is_not_lost():
    """YAML 1.1 reads 1e-46, without a dot, as a text."""
    assert words("dd-curves", {"m_dm": 100, "SI": "1e-46", "SD-p": None}) == ["SI=1e-46", "m_dm=100"]


def test_both_analyses_share_their_workflow():
    for file in ("workflow.yml", "steps.yml"):
        assert (SPECS / NAMES[0] / file).read_text() == (SPECS / NAMES[1] / file).read_text()


def test_a_vector_mediator_of_a_tev_is_excluded_by_direct_detection(tmp_path):
    found = asked("dd-curves", *POINTS[0], tmp_path / "v.json")
    assert found.excluded
    assert found.strongest.curve == "lz-2024-si"
    assert found.strongest.model == pytest.approx(6.03e-41, rel=0.02, abs=0)  # arXiv:1603.04156
    assert {each.confidence_level for each in found.comparisons} == {0.9}
    assert all(each.digitised for each in found.comparisons)


def test_an_axial_one_meets_spin_dependent_curves_only(tmp_path):
    found = asked("dd-curves", "spin1-axial", {"m_med": 1000, "m_dm": 100}, tmp_path / "v.json")
    compared = {each.quantity for each in found.comparisons if each.ratio is not None}
    assert compared == {"SD-p", "SD-n"}
    [strongest] = [each for each in found.comparisons if each.curve == found.strongest.curve]
    assert strongest.model == pytest.approx(2.06e-42, rel=0.01, abs=0)  # arXiv:1603.04156
    assert strongest.used


def test_a_leptophobic_model_is_never_excluded_by_tau_pairs_from_the_sun():
    """Canary: here sigma_SD lies above IceCube's curve, and below those of LZ and PICO-60 for protons."""
    fed = planes("spin1-axial", {"m_med": 300, "m_dm": 3000, "g_q": 0.25})
    found = verdict.compare(Prediction.from_document(fed), shipped(), ["SD-p"])
    [sun] = [each for each in found.comparisons if each.curve == "icecube-2016-sdp-tautau"]
    assert sun.excluded
    assert found.excluded is False
    assert found.strongest.curve == "lz-2024-sdp"


def test_dirac_dark_matter_is_compared_with_half_of_its_annihilation(tmp_path):
    values = {"m_med": 1000, "m_dm": 200}
    found = asked("id-veritas-dsph", "spin1-vector", values, tmp_path / "v.json")
    fed = planes("spin1-vector", values)["sigmav"]
    [own] = [each for each in found.comparisons if each.channel == "bb"]
    assert own.factor == 0.5
    assert own.model == pytest.approx(fed["bb"] / 2, rel=1e-12, abs=0)
    [proxy] = [each for each in found.comparisons if each.channel == "quarks"]
    light = sum(fed[name] for name in ("uu", "dd", "ss", "cc", "bb"))
    assert proxy.model == pytest.approx(light / 2, rel=1e-12, abs=0)
    assert not proxy.used
    assert found.excluded is False
    assert found.strongest.ratio < 1e-2
    assert verdict.HALVED in found.notes


@pytest.mark.parametrize(
    ("name", "model", "values", "said"),
    [
        ("id-veritas-dsph", *POINTS[2], "predicts no <sigma v>"),  # p-wave
        ("dd-curves", *POINTS[3], "predicts no SI"),  # momentum-suppressed
        ("dd-curves", *POINTS[4], "no dark matter"),
        ("dd-curves", *POINTS[5], "predicts no SI"),
        ("id-veritas-dsph", "spin1-vector", {"m_med": 1000, "m_dm": 50}, "outside of the curve"),
    ],
)
def test_what_cannot_be_compared_says_why(tmp_path, name, model, values, said):
    found = asked(name, model, values, tmp_path / "v.json")
    assert found.excluded is None
    assert said in found.reason
