"""The signal in 66 bins, its patch, and the limits that follow: closure with the efficiency maps, and its canaries."""

import dataclasses
import json

import jsonpatch
import numpy as np
import pytest
from cms_samples import DATA, background_only, bins, covariance, published
from cmsmonojet import __main__ as program
from cmsmonojet import signal
from cmsmonojet.efficiency_map import Column, EfficiencyMap
from monojet.errors import InputError

from recast_dm import schemas
from recast_dm.batch import entry
from recast_dm.statistics.asymptotic import Test as Asymptotic
from recast_dm.statistics.found import bind
from recast_dm.statistics.workspace import Model

CROSS_SECTIONS_PB = {1000: 8.33, 1500: 1.413, 2000: 0.3526, 2250: 0.1906}
"""Leading order, axial-vector, g_q = .25, g_dm = 1, m_dm = 1 GeV; made with Pythia (0.5 %)."""
LIMITS = {1000: (0.166, 0.091), 1500: (0.511, 0.282), 2000: (1.35, 0.736), 2250: (2.25, 1.23)}
"""mu_UL observed and expected of the same points with the same maps, by an independent implementation."""


def sigma(pb, error=0.003):
    return {
        "schema": "cmsmonojet/cross-section/1",
        "sigma_pb": pb,
        "sigma_pb_mc_error": error * pb,
        "events": 50_000,
        "order": "LO",
        "pythia_version": "8.317",
    }


def limits(events):
    """mu_UL observed and expected of expected events in the 66 bins."""
    upper = Asymptotic(
        bind(Model(background_only(), signal.patch(np.asarray(events), background_only())))
    ).upper_limits()
    return upper.observed, upper.expected[2]


def events_of(m_med, table=None, lumi_fb=None):
    found = (table or published("TRV1")).at(m_med, 1).bins
    return signal.yields(CROSS_SECTIONS_PB[m_med], lumi_fb or bins().lumi_fb, found)


@pytest.mark.parametrize("m_med", sorted(LIMITS))
def test_limits_with_the_maps_are_those_of_another_implementation(m_med):
    observed, expected = limits(events_of(m_med))
    assert observed == pytest.approx(LIMITS[m_med][0], rel=0.02)
    assert expected == pytest.approx(LIMITS[m_med][1], rel=0.02)


def without_2018(table):
    columns = [
        Column(
            m_med=column.m_med,
            m_dm=column.m_dm,
            efficiency=np.hstack([column.efficiency[:, :44], np.zeros_like(column.efficiency[:, 44:])]),
        )
        for column in table.columns
    ]
    return EfficiencyMap(table.name, tuple(columns))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("the luminosity of two years", {"lumi_fb": 101.0}),
        ("the luminosity with a year's share twice", {"lumi_fb": 59.7}),
        ("no bins of 2018", {"table": "without 2018"}),
    ],
)
def test_canaries_are_outside_of_what_closure_allows(name, change):
    """The mutations that the issue names: each moves the limit by more than 8 %, so that the test above finds it."""
    arguments = dict(change)
    if "table" in arguments:
        arguments["table"] = without_2018(published("TRV1"))
    _, expected = limits(events_of(2000, **arguments))
    assert abs(expected / LIMITS[2000][1] - 1) > 0.08, name


def test_the_mass_limit_at_leading_order_is_that_of_the_prototype():
    """mu = 1 is crossed at 1.85 TeV observed, 2.15 TeV expected."""
    masses = np.array(sorted(LIMITS))
    found = np.log([limits(events_of(m_med)) for m_med in sorted(LIMITS)])
    observed, expected = (float(np.interp(0, column, masses)) for column in found.T)
    assert observed == pytest.approx(1850, rel=0.02)
    assert expected == pytest.approx(2150, rel=0.02)


def test_every_bin_has_the_luminosity_of_all_years():
    """Canary: 137 fb-1, for 2016 as for 2018. At 1 TeV 43 000 events are expected, 17 200 of them in 2018."""
    events = events_of(1000)
    assert events.sum() == pytest.approx(8.33e3 * 137 * 0.03773, rel=1e-3)
    assert events[44:].sum() == pytest.approx(0.3993 * events.sum(), rel=1e-3)
    assert events[0] == pytest.approx(8.33e3 * 137 * published("TRV1").at(1000, 1).bins[0])


def test_the_patch_puts_each_bin_into_its_year():
    events = np.arange(66.0)
    whole = jsonpatch.apply_patch(background_only(), signal.patch(events, background_only()))
    for year, channel in enumerate(whole["channels"]):
        added = channel["samples"][1]
        assert added["name"] == "signal"
        assert added["data"] == list(range(22 * year, 22 * year + 22))
        assert added["modifiers"] == [{"name": "mu", "type": "normfactor", "data": None}]


def test_a_workspace_of_other_bins_is_refused():
    shorter = {**background_only(), "channels": background_only()["channels"][:2]}
    with pytest.raises(InputError, match="44 bins, the signal 66"):
        signal.patch(np.arange(66.0), shorter)


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "cross_section.json").write_text(json.dumps(sigma(0.3526)))
    (tmp_path / "workspace.json").write_text(json.dumps(background_only()))
    return signal.Inputs(
        family="spin1",
        m_med=2000.0,
        m_dm=1.0,
        maps={"spin1": DATA / "efficiency_TRV1.csv", "spin0": DATA / "efficiency_TRS1.csv"},
        selections=(),
        cross_section=tmp_path / "cross_section.json",
        bins=DATA / "bins.yaml",
        covariance=DATA / "covariance_66x66.csv",
        workspace=tmp_path / "workspace.json",
    )


def run(inputs, place):
    signal.run(
        inputs,
        signal_path=place / "signal.json",
        patch_path=place / "patch.json",
        histogram_path=place / "histogram.json",
    )
    return [json.loads((place / f"{name}.json").read_text()) for name in ("signal", "patch", "histogram")]


def test_the_stage_writes_a_signal_with_its_errors(inputs, tmp_path):
    about, operations, histogram = run(inputs, tmp_path)
    assert schemas.problem("signal-1", about) is None
    assert about["sigma_pb"] == 0.3526
    assert about["mu_mc_error"] == pytest.approx(0.003), "that of the cross-section"
    assert about["correlation_model"] == "covariance"
    errors = {each["source"]: each["relative"] for each in about["uncertainties"]}
    assert errors["efficiency map"] == pytest.approx(published("TRV1").at(2000, 1).error)
    assert len(operations) == 3
    assert histogram["way"] == "efficiency map of spin1 mediators"
    assert histogram["yields"] == pytest.approx(list(events_of(2000)))
    assert histogram["yields_mc_error"] == pytest.approx([0.003 * y for y in histogram["yields"]])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"m_med": 4000.0}, "m_med = 4000 GeV lies outside of the efficiency map of spin1 mediators"),
        ({"m_dm": 1100.0}, "off-shell"),
        ({"family": "spin0", "selections": ("never read",)}, "infinitely heavy top quark"),
        ({"family": "none"}, "efficiency maps are for spin1 and spin0 mediators, not for this signal"),
    ],
)
def test_what_is_not_covered_is_said_and_has_no_signal(inputs, tmp_path, change, reason):
    about, operations, histogram = run(dataclasses.replace(inputs, **change), tmp_path)
    assert schemas.problem("signal-1", about) is None
    assert reason in about["not_covered"]
    assert histogram["not_covered"] == about["not_covered"]
    assert operations == []


def test_spin_0_has_a_map_of_its_own(inputs, tmp_path):
    about, _, _ = run(dataclasses.replace(inputs, family="spin0", m_med=1000.0), tmp_path)
    assert about["acceptance_times_efficiency"] == pytest.approx(0.0899, abs=1e-4)


def test_a_batch_gives_what_single_starts_give(inputs, tmp_path):
    names = ("signal", "patch", "histogram")
    jobs, written = [], {}
    for m_med in (1000, 1980):
        words = ["signal", "--family", "spin1", "--m-med", str(m_med), "--m-dm", "1", "--selections"]
        words += ["--spin1-map", str(inputs.maps["spin1"]), "--spin0-map", str(inputs.maps["spin0"])]
        words += ["--cross-section", str(inputs.cross_section), "--bins", str(inputs.bins)]
        words += ["--covariance", str(inputs.covariance), "--workspace", str(inputs.workspace)]
        words += [word for name in names for word in (f"--{name}", f"{name}.json")]
        alone, batched = tmp_path / f"alone{m_med}", tmp_path / f"batched{m_med}"
        alone.mkdir()
        batched.mkdir()
        assert program.main([*words[:-6], *(w for n in names for w in (f"--{n}", str(alone / f"{n}.json")))]) == 0
        written[m_med] = (alone, batched)
        log, status = str(tmp_path / f"{m_med}.log"), str(tmp_path / f"{m_med}.status")
        jobs.append({"cwd": str(batched), "argv": words, "log": log, "status": status})
    (tmp_path / "jobs.json").write_text(json.dumps({"schema": "recast-dm/batch/1", "jobs": jobs}))
    assert entry(program.main, ["--batch", str(tmp_path / "jobs.json")]) == 0
    for alone, batched in written.values():
        for name in names:
            assert (alone / f"{name}.json").read_bytes() == (batched / f"{name}.json").read_bytes()


def test_an_error_is_one_line_and_an_exit_code(inputs, tmp_path, capsys):
    missing = str(tmp_path / "missing.yaml")
    words = ["workspace", "--bins", missing, "--covariance", missing, "--workspace", str(tmp_path / "w.json")]
    assert program.main(words) == 2
    assert capsys.readouterr().err.startswith("workspace: cannot read missing.yaml")


def test_the_covariance_decides():
    """Bins taken as independent would give limits that are stronger: correlations are not a detail here."""
    diagonal = np.diag(np.diag(covariance()))
    from cmsmonojet import workspace

    background = workspace.background_only(bins(), diagonal)
    model = Model(background, signal.patch(events_of(1000), background))
    independent = Asymptotic(bind(model)).upper_limits().expected[2]
    assert abs(independent / LIMITS[1000][1] - 1) > 0.2
