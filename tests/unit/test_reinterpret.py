"""A point's init parameters, the published numbers beside ours, and whole reruns of the toy analysis."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
from workbench import TOY_IMAGE, Seen, toy

from recast_dm import reinterpret, schemas
from recast_dm.backends.local import Local
from recast_dm.capsule import open_capsule
from recast_dm.engine.rundir import result_file
from recast_dm.errors import IntegrityError, SpecError, StatisticsError, StepFailed, ToolMissing, UsageError
from recast_dm.reinterpret import closure, inputs
from recast_dm.runtimes.fake import FakeRuntime
from recast_dm.spec.analysis import Published, Signal
from recast_dm.statistics import Limit

FEEDS = {"pythia8": {"settings": ["a=1", "b=2"]}, "parameters": {"m_med": 2000.0}, "cross_section": {"pb": 0.1}}
LIMIT = Limit(
    sigma_pb=0.5,
    sigma_pb_mc_error=0.01,
    cls_obs=0.02,
    cls_exp=(0.01, 0.02, 0.03, 0.04, 0.05),
    mu_upper_obs=0.8,
    mu_upper_exp=(0.5, 0.6, 0.7, 0.8, 0.9),
    mu_upper_obs_mc_error=0.01,
    mu_upper_exp_mc_error=0.01,
    correlation_model="independent",
)


class TestSignalInputs:
    def test_each_init_parameter_takes_what_its_name_says(self):
        signal = Signal("pythia8", {"words": "pythia8.settings", "mass": "parameters.m_med", "all": "parameters"})
        assert inputs.signal_inputs(signal, FEEDS, "m") == {
            "words": ["a=1", "b=2"],
            "mass": 2000.0,
            "all": {"m_med": 2000.0},
        }

    def test_a_format_that_the_model_does_not_feed(self):
        with pytest.raises(
            UsageError, match="takes its signal as lhe or hepmc3; the model 'm' feeds cross_section, py"
        ):
            inputs.signal_inputs(Signal("lhe", {}, {"hepmc3": {}}), FEEDS, "m")

    def test_another_format_that_the_analysis_also_takes(self):
        signal = Signal("lhe", {"file": "lhe.file"}, {"cross_section": {"sigma": "cross_section.pb"}})
        assert inputs.signal_inputs(signal, FEEDS, "m") == {"sigma": 0.1}

    def test_what_another_format_does_not_carry_is_never_that_of_the_example_point(self):
        signal = Signal("lhe", {"file": "lhe.file"}, {"cross_section": {"sigma": "cross_section.pb"}})
        assert inputs.left_alone(signal, {"sigma": 0.1}, {"file": ""}) == {"file": ""}
        with pytest.raises(SpecError, match="does not say what 'file' is"):
            inputs.left_alone(signal, {"sigma": 0.1}, {})
        assert inputs.left_alone(signal, {"file": "mine"}, {}) == {}

    def test_the_format_of_the_analysis_goes_before_the_others(self):
        signal = Signal("pythia8", {"words": "pythia8.settings"}, {"cross_section": {"sigma": "cross_section.pb"}})
        assert list(inputs.signal_inputs(signal, FEEDS, "m")) == ["words"]

    @pytest.mark.parametrize(
        ("source", "hint"),
        [
            ("parameters.m_mde", "did you mean 'm_med'?"),
            ("pythia.settings", "did you mean 'pythia8'?"),
            ("parameters.m_med.x", "there is none here"),
        ],
    )
    def test_a_name_that_the_model_does_not_feed(self, source, hint):
        with pytest.raises(SpecError, match=f"from '{source}', which the model 'm' does not feed") as caught:
            inputs.signal_inputs(Signal("pythia8", {"x": source}), FEEDS, "m")
        assert caught.value.hint == hint


class TestOverride:
    def test_replaces_what_exists(self, toy_analysis):
        given = {"events": 1000, "m_med": 1.0}
        assert inputs.override(reinterpret.of_analysis(toy_analysis, given), {"events": 5}) == {
            "events": 5,
            "m_med": 1.0,
        }
        assert given["events"] == 1000

    def test_not_what_carries_the_signal(self, toy_analysis):
        with pytest.raises(UsageError, match="'m_med' carries the signal"):
            inputs.override(reinterpret.of_analysis(toy_analysis, {"m_med": 1.0}), {"m_med": 2})

    def test_not_what_does_not_exist(self, toy_analysis):
        with pytest.raises(UsageError, match="toy has no init parameter 'evnets'") as caught:
            inputs.override(reinterpret.of_analysis(toy_analysis, {"events": 1, "m_med": 1}), {"evnets": 2})
        assert caught.value.hint == "did you mean 'events'?"


class TestClosure:
    HERE: ClassVar = {"m_med": 2000.0, "m_dm": 1.0, "g_q": 0.25, "g_dm": 1.0, "g_l": 0.0}
    PUBLISHED = Published("spin1-axial", {"m_med": 2000, "m_dm": 1}, "sigma_upper_obs_pb", 0.356, 0.1, "Table 3")

    def compare(self, *, model: str = "spin1-axial", **parameters: float):
        return closure.compare([self.PUBLISHED], model, {**self.HERE, **parameters}, LIMIT)

    def test_ours_beside_the_published(self):
        (found,) = self.compare()
        assert (found.ours, found.published, found.source) == (pytest.approx(0.4), 0.356, "Table 3")
        assert found.ratio == pytest.approx(0.4 / 0.356)
        assert not found.agrees
        assert replace(found, ours=0.39).agrees
        assert schemas.problem("limit-1", {"closure": [found.document()]})[0] == ()

    @pytest.mark.parametrize(
        "other", [{"model": "spin1-vector"}, {"m_med": 2001.0}, {"m_dm": 1.001}, {"g_q": 0.1}, {"g_l": 0.1}]
    )
    def test_only_for_the_same_point_of_the_same_model(self, other):
        assert self.compare(**other) == ()

    def test_a_published_coupling_counts(self):
        assert not closure.same_point("spin1-axial", {"m_med": 2000, "m_dm": 1, "g_q": 0.1}, self.HERE)

    @pytest.mark.parametrize(
        ("quantity", "ours"),
        [("sigma_upper_obs_pb", 0.4), ("sigma_pb", 0.5), ("mu_upper_obs", 0.8), ("mu_upper_exp", 0.7)],
    )
    def test_every_quantity_that_the_schema_knows_has_a_value(self, quantity, ours):
        published = replace(self.PUBLISHED, quantity=quantity)
        (found,) = closure.compare([published], "spin1-axial", self.HERE, LIMIT)
        assert found.ours == pytest.approx(ours)

    def test_the_schema_knows_no_other_quantity(self):
        item = schemas.schema("recast-1")["properties"]["closure"]["items"]
        assert sorted(item["properties"]["quantity"]["enum"]) == [
            "mu_upper_exp",
            "mu_upper_obs",
            "sigma_pb",
            "sigma_upper_obs_pb",
        ]


class TestRerun:
    @pytest.fixture
    def backend(self, bench):
        return Local(runtime=bench.runtime, jobs=2, cache=bench.cache)

    def rerun(self, capsule, backend, tmp_path, run: str = "run", model: str = "spin1-axial", **values: object):
        values = {"m_med": "1000", "m_dm": "1", **values}
        return reinterpret.rerun(reinterpret.of_capsule(capsule), model, values, backend, tmp_path / run, Seen())

    def test_as_captured(self, toy_capsule, backend, tmp_path):
        result = reinterpret.run(
            reinterpret.of_capsule(open_capsule(toy_capsule.path)), backend, tmp_path / "run", Seen()
        )
        document = result.document()
        assert schemas.problem("limit-1", document) is None
        assert document["capsule"] == toy_capsule.digest
        assert document["parameters"]["m_med"] == 1000
        assert [c["agrees"] for c in document["closure"]] == [True]
        assert [step["step"] for step in document["steps"]] == ["count/0", "count/1", "limit/0"]

    def test_under_another_mass(self, toy_capsule, backend, tmp_path):
        result = self.rerun(toy_capsule, backend, tmp_path, m_med="2000")
        assert result.limit is not None
        assert result.limit.sigma_pb == pytest.approx(8.33 / 16)
        assert result.closure == ()
        assert result.file("limit/limit.json") == tmp_path / "run/limit/0/limit.json"

    def test_the_captured_point_and_the_same_point_rerun_are_the_same_work(self, toy_capsule, backend, tmp_path, bench):
        reinterpret.run(reinterpret.of_capsule(toy_capsule), backend, tmp_path / "one", Seen())
        count = len(bench.runtime.jobs)
        self.rerun(toy_capsule, backend, tmp_path, "two")
        assert len(bench.runtime.jobs) == count == 3

    def test_a_new_mass_starts_new_containers(self, toy_capsule, backend, tmp_path, bench):
        self.rerun(toy_capsule, backend, tmp_path, "one")
        self.rerun(toy_capsule, backend, tmp_path, "two", m_med="1001")
        assert len(bench.runtime.jobs) == 6

    def test_an_analysis_without_a_signal(self, toy_capsule, backend, tmp_path):
        silent = replace(toy_capsule, analysis=replace(toy_capsule.analysis, signal=None))
        with pytest.raises(UsageError, match="does not say how a signal enters"):
            self.rerun(silent, backend, tmp_path)

    @pytest.mark.parametrize(
        ("model", "values"),
        [
            ("spin1-axail", {}),
            ("spin1-axial", {"m_med": "-5"}),
            ("spin1-axial", {"mass": "5"}),
            ("spin1-axial", {"m_med": "x"}),
        ],
    )
    def test_points_that_cannot_be_are_exit_2_before_anything_runs(
        self, toy_capsule, backend, tmp_path, bench, model, values
    ):
        with pytest.raises(UsageError) as caught:
            self.rerun(toy_capsule, backend, tmp_path, model=model, **values)
        assert caught.value.exit_code == 2
        assert bench.runtime.jobs == []
        assert not (tmp_path / "run").exists()

    def test_an_image_that_is_not_here(self, toy_capsule, tmp_path):
        nothing = Local(runtime=FakeRuntime({}), jobs=1, cache=None)
        with pytest.raises(ToolMissing, match=r"the image recast-dm/toy:1.0 \(sha256:[0-9a-f]{12}\) is not here"):
            self.rerun(toy_capsule, nothing, tmp_path)

    def test_an_image_that_is_another_one(self, toy_capsule, backend, tmp_path):
        (image,) = toy_capsule.images
        moved = replace(toy_capsule, images=(replace(image, image_id="sha256:gone", diff_ids=("sha256:other",)),))
        with pytest.raises(IntegrityError, match="its layers or its settings differ"):
            self.rerun(moved, backend, tmp_path)

    def test_a_limit_stage_that_did_not_converge_is_a_statistics_error(self, toy_capsule, tmp_path):
        def program(job):
            return 7 if "setting a limit" in (job.stdin or "") else toy(job)

        backend = Local(runtime=FakeRuntime({TOY_IMAGE: program}), jobs=2, cache=None)
        with pytest.raises(StatisticsError, match=r"limit/0 failed \(exit code 7\)") as caught:
            self.rerun(toy_capsule, backend, tmp_path)
        assert caught.value.exit_code == 7

    def test_declared_results_must_be_there(self, toy_capsule, backend, tmp_path):
        subject = reinterpret.of_capsule(toy_capsule)
        more = {**subject.results, "plot": "limit/plot.pdf", "table": "nowhere/table.csv"}
        with pytest.raises(StepFailed, match="declares as results is not there: plot, table") as caught:
            reinterpret.run(replace(subject, results=more), backend, tmp_path / "run", Seen())
        assert (caught.value.hint or "").startswith("plot: limit/plot.pdf\ntable: nowhere/table.csv\n")


@pytest.mark.parametrize(
    ("relpath", "place"),
    [
        ("limit/limit.json", "limit/0/limit.json"),
        ("select_3/sub/c.json", "select/3/sub/c.json"),
        ("two_1/x", "two_1/0/x"),
        ("none/x", "none/0/x"),
    ],
)
def test_results_are_found_by_upstreams_names(tmp_path, relpath, place):
    for directory in ("limit/0", "select/3", "two_1/0"):
        (tmp_path / directory).mkdir(parents=True)
    assert result_file(tmp_path, relpath) == tmp_path / place
