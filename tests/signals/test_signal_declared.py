"""Models from YAML files: derived from others, or words for Pythia; every mistake is told with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from signal_points import values_for

from recast_dm import signals
from recast_dm.config import Config
from recast_dm.errors import SpecError, UsageError
from recast_dm.signals import checking, found
from recast_dm.signals.declared import kept, reading
from recast_dm.signals.rescale import rescaled
from recast_dm.signals.spin1 import AXIAL
from recast_dm.spec import text

HEAVY = """\
name: heavy-axial
base: spin1-axial
title: An axial mediator above 1 TeV
version: 2
parameters:
  mass: {is: m_med, lower: 1000, meaning: mass of the mediator}
  m_dm: {default: 1}
fixed: {g_q: 0.1, g_l: 0.01}
benchmarks:
  H1: {g_dm: 0.5}
validity: [Only above 1 TeV.]
citations: [{arxiv: '1703.05703', title: Recommendations}]
"""
WORDS = """\
name: my-zprime
base: pythia8
parameters:
  m_med: {unit: GeV, meaning: mass, lower: 500, upper: 5000}
  w: {unit: GeV, meaning: width, lower: 1, upper: 500, default: 30}
  n: {unit: '1', meaning: a switch, lower: 0, upper: 3, default: 3, kind: integer}
pythia8:
  settings: ["NewGaugeBoson:ffbar2gmZZprime=on", "Zprime:gmZmode={n}", "32:m0={m_med}"]
  recoil_id: 32
  invisible_ids: [18]
  width_gev: w
  cross_section_factor: 0.5
"""


def model(source):
    return reading.of_node(text.parse(source, "m.yml"), found.installed)


def test_a_derived_model_is_its_base_at_another_point():
    heavy = model(HEAVY)
    point = heavy.point({"mass": 2000, "g_dm": 0.5})
    base = AXIAL.point({"m_med": 2000, "m_dm": 1, "g_q": 0.1, "g_dm": 0.5, "g_l": 0.01})
    assert heavy.of_base(point) == base
    assert signals.resolved(heavy, point) == (AXIAL, base)
    assert heavy.widths(point) == AXIAL.widths(base)
    assert heavy.validity(point) == AXIAL.validity(base)
    fed, expected = dict(heavy.feeds(point)), dict(AXIAL.feeds(base))
    assert fed.pop("parameters") == {"mass": 2000.0, "m_dm": 1.0, "g_dm": 0.5}
    del expected["parameters"]
    assert fed == expected


def test_what_a_derived_model_says_of_itself():
    record = model(HEAVY).record
    assert (record.name, record.version, record.family) == ("heavy-axial", "2", AXIAL.record.family)
    assert [(p.name, p.range, p.default) for p in record.parameters] == [
        ("mass", "1000 to 10000 GeV", None),
        ("m_dm", "0.1 to 5000 GeV", 1.0),
        ("g_dm", "0.001 to 3.5", 1.0),
    ]
    assert [benchmark.name for benchmark in record.benchmarks] == ["H1"]
    assert {fixed.name: fixed.value for fixed in record.fixed}["g_q"] == 0.1
    assert record.validity[0] == "Only above 1 TeV."
    assert record.citations[0].title == "Recommendations"


def test_the_format_may_be_named():
    assert model("schema: recast-dm/models-file/1\n" + HEAVY).record == model(HEAVY).record
    with pytest.raises(SpecError, match="schema: 'recast-dm/models-file/1' was expected"):
        model("schema: recast-dm/models-file/2\n" + HEAVY)


def test_benchmarks_of_the_base_stay_where_their_parameters_do():
    plain = model("name: mine\nbase: spin1-axial\n")
    assert plain.record.benchmarks == AXIAL.record.benchmarks
    assert model("name: mine\nbase: spin1-axial\nfixed: {g_l: 0}\n").record.benchmarks == ()


def test_further_words_of_a_derived_model():
    fed = model('name: mine\nbase: spin1-axial\npythia8: {settings: ["32:doForceWidth=off", "18:tau0={m_dm}"]}\n')
    settings = fed.feeds(fed.point({"m_med": 1000, "m_dm": 5}))["pythia8"]["settings"]
    assert settings[-2:] == ["32:doForceWidth=off", "18:tau0=5"]
    assert len(AXIAL.feeds(AXIAL.point({"m_med": 1000, "m_dm": 5}))["pythia8"]["settings"]) == len(settings) - 2


def test_limits_of_a_derived_model_are_rescaled_as_those_of_its_base():
    heavy = model(HEAVY)
    old = AXIAL.point({"m_med": 2000, "m_dm": 1})
    by_name = rescaled(AXIAL, old, heavy, heavy.point({"mass": 2000}))
    same = AXIAL.point({"m_med": 2000, "m_dm": 1, "g_q": 0.1, "g_l": 0.01})
    assert by_name == rescaled(AXIAL, old, AXIAL, same)


def test_words_with_values():
    mine = model(WORDS)
    point = mine.point({"m_med": "1e3", "w": 20})
    assert mine.feeds(point)["pythia8"] == {
        "settings": ["NewGaugeBoson:ffbar2gmZZprime=on", "Zprime:gmZmode=3", "32:m0=1000"],
        "couplings": [],
        "recoil_id": 32,
        "invisible_ids": [18],
        "expected_width_gev": 20.0,
        "cross_section_factor": 0.5,
    }
    assert mine.widths(point).total == 20.0
    assert model(WORDS.replace("  width_gev: w\n", "")).widths(point) is None


@pytest.mark.parametrize("source", [HEAVY, WORDS], ids=["derived", "words"])
def test_both_kinds_are_signal_models(source):
    mine = model(source)
    assert isinstance(mine, signals.SignalModel)

    @given(values_for(mine.record))
    def every_point_is_made_of_safe_words(values):
        try:
            point = mine.point(values)
        except UsageError:
            return
        words = mine.feeds(point)["pythia8"]["settings"]
        assert all(checking.WORD.fullmatch(word) for word in words)
        assert mine.point(point.parameters()) == point

    every_point_is_made_of_safe_words()


@pytest.mark.parametrize(
    ("source", "where", "message"),
    [
        (HEAVY.replace("is: m_med", "is: m_mde"), "m.yml:6:9", "there is no parameter of the base 'm_mde'"),
        (HEAVY.replace("spin1-axial", "spin1-axail"), "m.yml:2:7", "there is no signal model 'spin1-axail'"),
        (HEAVY.replace("g_l: 0.01", "g_x: 0.01"), "m.yml:8:24", "there is no parameter of the base 'g_x'"),
        (HEAVY.replace("lower: 1000", "lower: 10"), "m.yml:6:9", "mass goes beyond 50 to 10000 GeV"),
        (HEAVY.replace("default: 1}", "default: 60000}"), "m.yml:7:9", "m_dm: default = 60000 is out of"),
        (HEAVY.replace("lower: 1000", "unit: GeV"), "m.yml:6:27", "the unit of mass is the base's"),
        (HEAVY.replace("m_dm: {default: 1}", "g_q: {}"), "m.yml:7:8", "g_q is fixed"),
        (
            HEAVY.replace("  mass: {is", "  m_dm: {is").replace("  m_dm: {default: 1}\n", ""),
            None,
            "two parameters have one",
        ),
        (HEAVY.replace("{g_dm: 0.5}", "{g_q: 0.5}"), "m.yml:10:13", "there is no parameter 'g_q'"),
        (HEAVY.replace("version: 2", "versoin: 2"), "m.yml:1:1", "versoin"),
        (HEAVY.replace("name: heavy-axial", "name: ../evil"), "m.yml:1:7", "does not match"),
        (HEAVY + "pythia8: {settings: ['a=b'], recoil_id: 3}\n", "m.yml:13:41", "recoil_id is the base's"),
        (WORDS.replace("{m_med}", "{m}"), "m.yml:8:72", "there is no parameter 'm'"),
        (WORDS.replace("32:m0={m_med}", "32:m0"), "m.yml:8:72", "is no key=value"),
        (WORDS.replace("32:m0={m_med}", "32:m0={m_med};id"), "m.yml:8:72", "does not match"),
        (WORDS.replace("32:m0={m_med}", "32:m0=$(id)"), "m.yml:8:72", "does not match"),
        (WORDS.replace("width_gev: w", "width_gev: width"), "m.yml:11:14", "there is no parameter 'width'"),
        (WORDS.replace("unit: GeV, meaning: mass, ", ""), "m.yml:4:10", "m_med needs unit and meaning"),
        (WORDS.replace("lower: 500", "lower: 6000"), "m.yml:4:10", "is not below upper"),
        (WORDS.replace("meaning: mass", "is: m_med, meaning: mass"), "m.yml:4:26", "no other parameter to stand for"),
        (WORDS.replace("  recoil_id: 32\n", ""), "m.yml:8:3", "pythia8 needs recoil_id"),
        (WORDS + "fixed: {w: 3}\n", "m.yml:13:8", "nothing to fix"),
        ("name: a\nbase: pythia8\n", "m.yml:1:1", "base: pythia8 needs parameters"),
        ("[]", "m.yml:1:1", "is not of type 'object'"),
    ],
)
def test_mistakes_and_where_they_are(source, where, message):
    with pytest.raises(SpecError, match=message) as caught:
        model(source)
    if where is not None:
        assert str(caught.value.where) == where


@pytest.fixture
def directory(tmp_path, monkeypatch):
    place = tmp_path / "models"
    monkeypatch.setenv("RECAST_DM_MODELS", str(place))
    return place


def test_kept_models_are_found_by_name(directory, tmp_path):
    source = tmp_path / "any.yml"
    source.write_text(HEAVY)
    assert "heavy-axial" not in signals.names()
    kept.add(directory, "heavy-axial", source)
    assert "heavy-axial" in signals.names()
    assert signals.find("heavy-axial").record == model(HEAVY).record
    assert signals.origin("heavy-axial") == str(directory / "heavy-axial.yml")
    with pytest.raises(UsageError, match="you have a model 'heavy-axial' already"):
        kept.add(directory, "heavy-axial", source)
    kept.add(directory, "heavy-axial", source, replace=True)
    kept.remove(directory, "heavy-axial")
    assert "heavy-axial" not in signals.names()
    with pytest.raises(UsageError, match="you have no model 'heavy-axial' of your own"):
        kept.remove(directory, "heavy-axial")


def test_a_file_under_another_name_is_refused(directory):
    directory.mkdir()
    (directory / "other.yml").write_text(HEAVY)
    with pytest.raises(SpecError, match="holds a model called heavy-axial"):
        signals.find("other")


@pytest.mark.parametrize("name", ["../heavy", "a/b", ".", "", "Heavy"])
def test_only_names_are_looked_up(directory, name):
    directory.mkdir()
    assert kept.file(directory, name) is None


@pytest.mark.parametrize("name", list(signals.names()))
def test_every_installed_model_is_in_order(name):
    checked = checking.check(signals.find(name))
    assert [check for check in checked.checks if not check.ok] == []


def test_words_that_are_set_twice_are_found():
    twice = model('name: mine\nbase: spin1-axial\npythia8: {settings: ["32:m0=5"]}\n')
    wrong = [check for check in checking.check(twice).checks if not check.ok]
    assert {check.text for check in wrong} == {"32:m0 is set twice"}
    assert not checking.check(twice).ok


def test_events_from_outside_can_have_a_name_of_their_own():
    mine = model("name: two-higgs\nbase: events\nfixed: {m_med: 600, dm_id: 52}\n")
    fed = mine.feeds(mine.point({"sigma_pb": 0.1}))
    assert fed["events"]["sigma_pb"] == 0.1
    assert "m_med" not in fed["parameters"]


def test_words_for_a_base_without_pythia():
    mine = model('name: two-higgs\nbase: events\npythia8: {settings: ["25:m0=125"]}\n')
    with pytest.raises(UsageError, match="two-higgs adds words for Pythia, and events does not use it"):
        mine.feeds(mine.point({}))
    assert not checking.check(mine).ok


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"RECAST_DM_MODELS": "/m", "XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/m"),
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/recast-dm/models"),
        ({"HOME": "/h"}, "/h/.config/recast-dm/models"),
    ],
)
def test_where_models_are_kept(environ, expected):
    assert str(Config.from_environment(environ).models) == expected


def test_a_point_that_the_base_refuses_is_told():
    wide = model("name: wide\nbase: spin1-axial\nfixed: {g_q: 3.5}\n")
    wrong = [check for check in checking.check(wide).checks if not check.ok]
    assert wrong[0].name == "point"
    assert "wider than heavy" in wrong[0].text
