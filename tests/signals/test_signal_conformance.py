"""Every signal model that is installed, and the fake, behave alike."""

from __future__ import annotations

import json
import re
from importlib.resources import files

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from signal_points import values_for

from recast_dm.errors import UsageError
from recast_dm.signals import Finding, Point, SignalModel, Widths, find, names
from recast_dm.signals.fake import FakeSignalModel

WORD = re.compile(r"[A-Za-z0-9_./:=,+@%-]+")
FEW = settings(max_examples=25)
COUPLING = re.compile(r"\d+=[0-9.e+-]+,[0-9.e+-]+")
PYTHIA8 = {"settings", "couplings", "recoil_id", "invisible_ids", "expected_width_gev", "cross_section_factor"}


def test_the_models_of_this_package_are_installed():
    assert {"add", "spin1-axial", "spin1-vector"} <= set(names())


def accepted(model: SignalModel, data: st.DataObject) -> Point:
    try:
        return model.point(data.draw(values_for(model.record)))
    except UsageError:  # in range, and yet unphysical
        assume(False)
        raise


@pytest.mark.parametrize("model", [FakeSignalModel(), *map(find, names())], ids=lambda model: model.record.name)
class TestConformance:
    def test_is_a_signal_model(self, model):
        assert isinstance(model, SignalModel)

    def test_the_record_validates(self, model):
        schema = json.loads(files("recast_dm").joinpath("schemas/signal-model-1.json").read_text())
        Draft202012Validator.check_schema(schema)
        document = model.record.document()
        Draft202012Validator(schema).validate(document)
        assert json.loads(json.dumps(document, allow_nan=False)) == document

    def test_the_record_is_consistent(self, model):
        names_of = [p.name for p in model.record.parameters] + [f.name for f in model.record.fixed]
        assert len(names_of) == len(set(names_of))
        for parameter in model.record.parameters:
            assert parameter.lower.value < parameter.upper.value
            assert model.record.parameter(parameter.name) is parameter
            if parameter.default is not None:
                assert parameter.lower.value <= parameter.default <= parameter.upper.value
        with pytest.raises(KeyError):
            model.record.parameter("no such parameter")

    def test_benchmarks_leave_only_masses_open(self, model):
        for benchmark in model.record.benchmarks:
            assert model.record.benchmark(benchmark.name) is benchmark
            open_ones = {p.name: p.lower.value for p in model.record.parameters if p.required}
            given = dict(benchmark.values)
            assert not set(open_ones) & set(given)
            point = model.point({**open_ones, **given})
            assert {name: point[name] for name in given} == given
        with pytest.raises(UsageError, match="has no benchmark 'Z9'"):
            model.record.benchmark("Z9")

    def test_records_are_values(self, model):
        assert hash(model.record) == hash(model.record)
        with pytest.raises(AttributeError):
            model.record.name = "other"

    def test_refuses_what_it_does_not_know(self, model):
        with pytest.raises(UsageError, match="has no parameter 'no_such_parameter'"):
            model.point({"no_such_parameter": 1})

    def test_each_end_of_a_range_is_refused_beyond_it(self, model):
        required = {p.name: p.lower.value for p in model.record.parameters if p.required}
        for parameter in model.record.parameters:
            for value in (parameter.lower.value - 1, parameter.upper.value + 1):
                if parameter.nonzero and value == 0:
                    continue
                with pytest.raises(UsageError, match=f"{parameter.name} = .* is out of range: .*") as caught:
                    model.point(required | {parameter.name: value})
                assert parameter.range in caught.value.message
                assert "\n" not in caught.value.message

    @given(data=st.data())
    def test_points_round_trip_through_text(self, model, data):
        point = accepted(model, data)
        assert model.point(point.parameters()) == point
        assert model.point({name: repr(value) for name, value in point.values}) == point
        assert model.point(json.loads(json.dumps(point.parameters()))) == point
        assert hash(model.point(point.parameters())) == hash(point)
        assert [name for name, _ in point.values] == [p.name for p in model.record.parameters]

    @FEW
    @given(data=st.data())
    def test_feeds_are_json_and_safe_words(self, model, data):
        point = accepted(model, data)
        feeds = model.feeds(point)
        assert json.loads(json.dumps(feeds, allow_nan=False)) == feeds
        assert feeds == model.feeds(model.point(point.parameters()))
        assert feeds["parameters"] == point.parameters()
        pythia8 = feeds.get("pythia8")
        if "events" in feeds:  # somebody else made them: test_signal_events.py
            return
        if pythia8 is None:  # the signals of a published patchset are made already
            assert feeds["pyhf-patch"]["values"] == list(point.parameters().values())
            return
        assert set(pythia8) == PYTHIA8
        assert pythia8["settings"]
        assert all(WORD.fullmatch(word) and word.count("=") == 1 for word in pythia8["settings"])
        assert all(WORD.fullmatch(word) and COUPLING.fullmatch(word) for word in pythia8["couplings"])
        left_of = [word.partition("=")[0] for word in pythia8["settings"]]
        assert len(left_of) == len(set(left_of))
        assert isinstance(pythia8["recoil_id"], int)
        assert all(isinstance(pdg_id, int) for pdg_id in pythia8["invisible_ids"])
        assert 0 < pythia8["cross_section_factor"] < float("inf")

    @FEW
    @given(data=st.data())
    def test_efficiency_maps_are_read_at_the_masses(self, model, data):
        point = accepted(model, data)
        fed = model.feeds(point).get("efficiency-map")
        if fed is None:
            assert "m_med" not in point.parameters() or "events" in model.feeds(point)
            return
        spin = {"spin1": 1, "spin0": 0}[fed["family"]]
        assert spin == model.record.mediator.spin
        assert fed == {"family": f"spin{spin}", "m_med": point["m_med"], "m_dm": point["m_dm"]}

    @FEW
    @given(data=st.data())
    def test_planes_are_those_of_the_record(self, model, data):
        point = accepted(model, data)
        fed = model.feeds(point).get("planes")
        if fed is None:
            assert (model.record.planes.dd, model.record.planes.id) == ((), "none")
            return
        scattering = {name for name in ("SI", "SD-p", "SD-n") if fed[name] is not None}
        assert scattering == set(model.record.planes.dd)
        assert all(0 < fed[name] < 1e-20 for name in scattering)
        assert (fed["sigmav"] is not None) == (model.record.planes.id == "s-wave")
        if fed["sigmav"] is not None:
            channels = dict(fed["sigmav"])
            assert channels.pop("total") == pytest.approx(sum(channels.values()), abs=0)
            assert min(channels.values()) >= 0
        if scattering or fed["sigmav"] is not None:
            assert fed["m_dm"] == point["m_dm"]
            assert fed["self_conjugate"] == model.record.dm.self_conjugate

    @FEW
    @given(data=st.data())
    def test_feeds_are_the_callers_own(self, model, data):
        point = accepted(model, data)
        fed = model.feeds(point)
        before = json.dumps(fed)
        for part in fed.values():
            for inner in part.values():
                if isinstance(inner, list | dict):
                    inner.clear()
            part.clear()
        assert json.dumps(model.feeds(point)) == before

    @FEW
    @given(data=st.data())
    def test_widths_are_positive_and_expected(self, model, data):
        point = accepted(model, data)
        widths = model.widths(point)
        expected = model.feeds(point).get("pythia8", {}).get("expected_width_gev", 0.0)
        if widths is None:
            assert expected == 0.0
            return
        assert isinstance(widths, Widths)
        assert widths.total > 0
        assert expected in (widths.total, 0.0)
        assert all(width.gev >= 0 for width in widths.partial)
        assert widths.document()["total_gev"] == widths.total
        assert all(widths[width.channel] == width.gev for width in widths.partial)
        with pytest.raises(KeyError):
            widths["no such channel"]

    @given(data=st.data())
    def test_findings_have_one_line_each_and_fixed_names(self, model, data):
        findings = model.validity(accepted(model, data))
        again = model.validity(accepted(model, data))
        assert findings
        assert [finding.name for finding in findings] == [finding.name for finding in again]
        for finding in findings:
            assert isinstance(finding, Finding)
            assert isinstance(finding.ok, bool)
            assert finding.text
            assert "\n" not in finding.text
            assert finding.document() == {"name": finding.name, "ok": finding.ok, "text": finding.text}
