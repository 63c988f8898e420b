"""The Python interface: the verbs as functions, and what they give as values."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from workbench import TOY_IMAGE, toy

import recast_dm
from recast_dm import api, schemas
from recast_dm.api.results import of_document
from recast_dm.api.settings import Settings
from recast_dm.cli import options
from recast_dm.config import Config
from recast_dm.errors import IntegrityError, SpecError, StepFailed, UsageError
from recast_dm.runtimes.fake import FakeRuntime
from tests import scans


@pytest.fixture
def fake(tmp_path, monkeypatch) -> FakeRuntime:
    """A machine whose only runtime is the fake one, with an empty cache and no catalogue, in an empty directory."""
    runtime = FakeRuntime({TOY_IMAGE: toy})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECAST_DM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("RECAST_DM_CATALOGUE", str(tmp_path / "catalogue.json"))
    monkeypatch.setattr("recast_dm.runtimes.find", lambda name: runtime)
    monkeypatch.setattr(options, "DEFAULTS", Config.from_environment())
    return runtime


@pytest.fixture
def kept(tmp_path) -> Path:
    """A scan that somebody mailed."""
    file = tmp_path / "mailed.json"
    file.write_text(json.dumps(scans.document()))
    return file


class TestImporting:
    def test_it_loads_nothing(self):
        script = "import sys; import recast_dm; print(sorted(m for m in sys.modules if m.startswith('recast_dm')))"
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "['recast_dm']"

    def test_every_name_is_there(self):
        for name in recast_dm.__all__:
            assert getattr(recast_dm, name) is not None
            assert name in dir(recast_dm)
        assert set(recast_dm.__all__) - {"__version__"} == set(api.__all__) - {"curves", "export", "report"}

    def test_what_type_checkers_see_is_what_there_is(self):
        stub = Path(recast_dm.__file__).with_suffix(".pyi").read_text()
        told = {line.rpartition(" as ")[2] for line in stub.splitlines() if line.startswith("from recast_dm.api")}
        assert told | {"__version__"} == set(recast_dm.__all__)

    def test_other_names_are_not(self):
        with pytest.raises(AttributeError, match="no attribute 'rerum'"):
            recast_dm.rerum  # noqa: B018  # looking is the test


class TestLoading:
    def test_an_analysis(self, toy_directory):
        found = recast_dm.load(toy_directory)
        assert (found.name, found.kind, found.digest) == ("toy", "analysis", None)
        assert found.parameters["seeds"] == [1, 2]
        assert [each["published"] for each in found.published] == [0.5]
        assert recast_dm.load(found) is found
        assert "Toy counting experiment" in found._repr_html_()

    def test_a_capsule(self, toy_capsule):
        found = recast_dm.load(toy_capsule.path)
        assert (found.name, found.kind, found.digest) == ("toy", "capsule", toy_capsule.digest)
        assert repr(found) == "<capsule toy: Toy counting experiment>"
        with pytest.raises(UsageError, match="brings its own inputs"):
            recast_dm.load(toy_capsule.path, example="default")

    def test_a_damaged_capsule(self, toy_capsule):
        damaged = toy_capsule.path / "data/analysis/steps.yml"
        damaged.chmod(0o644)
        damaged.write_text("count: {}")
        with pytest.raises(IntegrityError):
            recast_dm.load(toy_capsule.path)

    def test_by_its_name_in_the_catalogue(self, fake, toy_directory, cli):
        assert cli("catalogue", "add", toy_directory)[0] == 0
        assert recast_dm.load("toy").title == "Toy counting experiment"
        with pytest.raises(UsageError, match="there is no such path, and"):
            recast_dm.load("tyo")

    def test_a_bare_workflow(self, toy_directory):
        found = recast_dm.load(toy_directory / "workflow.yml")
        assert (found.kind, found.signal, found.published) == ("workflow", (), ())

    def test_no_yaml(self, tmp_path):
        (tmp_path / "workflow.yml").write_text("stages: [")
        with pytest.raises(SpecError):
            recast_dm.load(tmp_path)


class TestRunning:
    def test_a_point(self, fake, toy_directory):
        found = recast_dm.rerun(toy_directory, "spin1-axial", m_med=1000, m_dm=1)
        assert isinstance(found, recast_dm.Limit)
        assert found.parameters == {"m_med": 1000.0, "m_dm": 1.0, "g_q": 0.25, "g_dm": 1.0, "g_l": 0.0}
        assert found.mu_upper == found["mu_upper_obs"]
        assert found.mu_upper_expected == tuple(found["mu_upper_exp"])
        assert found.excluded is (found.mu_upper < 1)
        assert [row["published"] for row in found.closure] == [0.5]
        assert found.directory == Path("build/runs/latest").parent / Path("build/runs/latest").readlink()
        assert schemas.problem("limit-1", found.document) is None
        assert f"mu < {found.mu_upper:.3g}" in repr(found)
        assert "spin1-axial" in found._repr_html_()
        assert found.report("report.html").read_text().startswith("<!doctype html>")

    def test_what_was_kept_is_read_again(self, fake, toy_directory):
        found = recast_dm.rerun(toy_directory, "spin1-axial", m_med=1000, m_dm=1)
        again = recast_dm.read("latest")
        assert again.document == found.document
        assert recast_dm.limits(found.directory)[0]["mu_upper_obs"] == found.mu_upper

    def test_the_command_line_gives_the_same(self, fake, toy_directory, cli):
        found = recast_dm.rerun(toy_directory, "spin1-axial", m_med=1000, m_dm=1, settings=Settings(workdir="one"))
        words = ("--model", "spin1-axial", "--set", "m_med=1000", "--set", "m_dm=1", "--workdir", "two", "--json")
        code, out, _ = cli("rerun", toy_directory, *words)
        assert code == 0
        differ = {"run_dir", "steps", "plots"}
        told = json.loads(out)
        assert {key: value for key, value in told.items() if key not in differ} == {
            key: value for key, value in found.document.items() if key not in differ
        }

    def test_init_parameters_and_settings(self, fake, toy_directory):
        heard: list[object] = []
        settings = Settings(workdir="here", jobs=1, observer=heard.append)
        values = {"m_med": 1000.0, "m_dm": 1.0}
        found = recast_dm.rerun(toy_directory, "spin1-axial", parameters={"events": 500}, settings=settings, **values)
        assert found["overrides"] == {"events": 500}
        assert found.directory == Path("here")
        assert heard
        with pytest.raises(UsageError, match="carries the signal"):
            recast_dm.rerun(toy_directory, "spin1-axial", parameters={"m_med": 1}, **values)

    def test_as_it_is(self, fake, toy_directory):
        found = recast_dm.run(toy_directory, events=500)
        assert found["overrides"] == {"events": 500}
        assert found["parameters"]["m_med"] == 1000.0

    def test_a_failure_is_raised(self, fake, toy_directory, monkeypatch):
        failing = FakeRuntime({TOY_IMAGE: lambda job: 3})
        monkeypatch.setattr("recast_dm.runtimes.find", lambda name: failing)
        with pytest.raises(StepFailed):
            recast_dm.rerun(toy_directory, "spin1-axial", m_med=1000, m_dm=1)

    def test_events_are_for_the_model_that_takes_them(self, fake, toy_directory, tmp_path):
        (tmp_path / "x.lhe").write_text("")
        with pytest.raises(UsageError, match="makes its own events"):
            recast_dm.rerun(toy_directory, "spin1-axial", m_med=1000, m_dm=1, events=[tmp_path / "x.lhe"])
        with pytest.raises(UsageError, match="needs events"):
            recast_dm.rerun(toy_directory, "events", dm_id=52)
        assert fake.jobs == []

    def test_a_scan(self, fake, toy_directory):
        found = recast_dm.scan(toy_directory, "spin1-axial", grid={"m_med": "1000:2000:500"}, m_dm=1)
        assert schemas.problem("scan-1", found.document) is None
        assert [point["parameters"]["m_med"] for point in found.done] == [1000.0, 1500.0, 2000.0]
        single = recast_dm.rerun(toy_directory, "spin1-axial", m_med=1500, m_dm=1)
        assert found.points[1]["mu_upper_obs"] == single.mu_upper
        assert recast_dm.read(found.directory).document == found.document
        assert repr(found) == "<scan of toy, spin1-axial: 3 limits, 3 of m_med>"

    def test_the_same_scan_again_starts_nothing(self, fake, toy_directory):
        settings = Settings(workdir="scan")
        first = recast_dm.scan(toy_directory, "spin1-axial", grid={"m_med": [1000, 2000]}, m_dm=1, settings=settings)
        started = len(fake.jobs)
        again = recast_dm.scan(toy_directory, "spin1-axial", grid={"m_med": [1000, 2000]}, m_dm=1, settings=settings)
        assert len(fake.jobs) == started
        assert again.points == first.points

    def test_closure_runs_what_was_published(self, fake, toy_directory):
        (row,) = recast_dm.closure(toy_directory)
        assert row["published"] == 0.5
        assert row["ratio"] == row["ours"] / 0.5
        with pytest.raises(UsageError, match="has no limits"):
            recast_dm.closure(of_document({"schema": "recast-dm/run-result/1", "analysis": "a", "results": {}}))

    def test_a_k_factor(self, fake, toy_directory):
        found = recast_dm.rerun(toy_directory, "spin1-axial", m_med=1000, m_dm=1, k_factor="drell-yan")
        assert found["k_factor"]["mu_upper_obs"] == found.mu_upper / found["k_factor"]["value"]

    def test_a_benchmark(self, fake, toy_directory):
        found = recast_dm.scan(toy_directory, "spin1-axial", grid={"m_med": [1000, 2000]}, benchmark="A2", m_dm=1)
        assert found["fixed"]["g_l"] == 0.1
        with pytest.raises(UsageError, match="no benchmark 'A9'"):
            recast_dm.scan(toy_directory, "spin1-axial", grid={"m_med": [1000]}, benchmark="A9", m_dm=1)


class TestPreserving:
    def test_bytes(self, toy_capsule):
        found = recast_dm.verify(toy_capsule.path, depth="bytes", digest=f"sha256:{toy_capsule.digest}")
        assert found.ok
        assert found.problems == ()
        assert not recast_dm.verify(toy_capsule.path, depth="bytes", digest="sha256:" + "0" * 64).ok

    def test_what_is_wrong_is_told(self, toy_capsule):
        damaged = toy_capsule.path / "data/analysis/steps.yml"
        damaged.chmod(0o644)
        damaged.write_text("count: {}")
        found = recast_dm.verify(toy_capsule.path)
        assert not found.ok
        assert any("steps.yml" in problem for problem in found.problems)

    def test_a_rerun_needs_a_run(self, toy_capsule):
        with pytest.raises(UsageError, match="nothing to compare"):
            recast_dm.verify(toy_capsule.path, depth="rerun")
        with pytest.raises(UsageError, match="no depth"):
            recast_dm.verify(toy_capsule.path, depth="deep")

    def test_what_cannot_be_captured(self, fake, toy_capsule, tmp_path):
        for place, why in ((toy_capsule.path, "is a capsule already"), (tmp_path / "no", "does not exist")):
            with pytest.raises(UsageError, match=why):
                recast_dm.capture(place, tmp_path / "x.capsule")


class TestResults:
    def test_a_mailed_scan(self, kept):
        found = recast_dm.read(kept)
        assert isinstance(found, recast_dm.Scan)
        assert found.directory is None
        assert len(found.points) == 36
        assert len(found.done) == 30
        assert recast_dm.closure(found) == found.closure
        assert recast_dm.limits(kept) == found.points

    def test_rows_are_flat(self, kept):
        rows = list(recast_dm.read(kept).rows())
        assert rows[0]["mu_upper_exp_+0"] == scans.document()["points"][0]["mu_upper_exp"][2]
        last = rows[-1]
        assert (last["status"], last["mu_upper_obs"], last["m_med"]) == ("not covered", None, 3000.0)

    def test_a_figure(self, kept):
        found = recast_dm.read(kept)
        assert found.plot().axes
        assert found.plot("limit", m_dm=1).axes

    def test_in_a_notebook(self, kept):
        said = recast_dm.read(kept)._repr_html_()
        assert "spin1-axial" in said
        assert "<script" not in said

    def test_what_is_shown_is_escaped(self):
        document = {"schema": "recast-dm/run-result/1", "analysis": "<a>", "model": None, "results": {"<b>": "x&y"}}
        found = of_document(document)
        assert found._repr_html_() == "<table><tr><th>&lt;b&gt;</th><td>x&amp;y</td></tr></table>"
        assert repr(found) == "<run of <a>: <b>>"

    def test_a_report(self, kept, tmp_path, toy_directory):
        place = recast_dm.read(kept).report(tmp_path / "scan.html")
        assert "synthetic-monojet" in place.read_text()
        with pytest.raises(UsageError, match="is no capsule"):
            api.report(recast_dm.load(toy_directory), tmp_path / "no.html")

    def test_other_couplings(self, kept):
        found = recast_dm.rescale(kept, g_q=0.1)
        assert found["fixed"]["g_q"] == 0.1
        assert found.directory is None
        first, old = found.points[0], scans.document()["points"][0]
        assert first["mu_upper_obs"] > old["mu_upper_obs"]
        assert recast_dm.rescale(recast_dm.read(kept), benchmark="A2")["fixed"]["g_l"] == 0.1
        with pytest.raises(UsageError, match="no coupling"):
            recast_dm.rescale(kept, m_dm=5.0)

    def test_to_hepdata_with_its_figure(self, kept, tmp_path):
        done = recast_dm.read(kept).export(tmp_path / "out", format="hepdata")
        assert done.files == len(list((tmp_path / "out").iterdir()))
        assert (tmp_path / "out/plane.png").read_bytes().startswith(b"\x89PNG")

    def test_what_cannot_be_exported(self, kept, tmp_path, toy_directory):
        found = recast_dm.read(kept)
        with pytest.raises(UsageError, match="run directory of this result is not here"):
            found.export(tmp_path / "out")
        with pytest.raises(UsageError, match="is no capsule"):
            api.export(recast_dm.load(toy_directory), tmp_path / "out")

    def test_a_limit_that_is_none(self, toy_directory):
        about = {"analysis": "a", "model": "m", "parameters": {"m_med": 1.0}, "validity": []}
        document = {"schema": "recast-dm/limit/1", **about}
        found = recast_dm.Limit(document={**document, "status": "not covered", "reason": "outside of the map"})
        assert repr(found) == "<a, m m_med=1: not covered>"
        with pytest.raises(UsageError, match="no limit"):
            found.mu_upper  # noqa: B018  # asking is the test
        assert "outside of the map" in found._repr_html_()
        with pytest.raises(UsageError, match="not here"):
            found.plot()

    def test_saved_and_read(self, kept, tmp_path):
        place = recast_dm.save(recast_dm.read(kept), tmp_path / "copy.json")
        assert recast_dm.read(place).document == recast_dm.read(kept).document

    def test_a_run_without_a_limit(self, tmp_path):
        document = {"schema": "recast-dm/run-result/1", "analysis": "a", "results": {"out": "/x/out"}, "verdict": None}
        (tmp_path / "result.json").write_text(json.dumps(document))
        found = recast_dm.read(tmp_path)
        assert isinstance(found, recast_dm.Run)
        assert found.files == {"out": Path("/x/out")}
        assert found.verdict is None
        with pytest.raises(UsageError, match="has no limits"):
            recast_dm.limits(found)

    def test_another_document(self, tmp_path):
        (tmp_path / "plan.json").write_text('{"schema": "recast-dm/plan/1"}')
        with pytest.raises(UsageError, match="holds no result"):
            recast_dm.read(tmp_path / "plan.json")
        with pytest.raises(UsageError, match="is no result"):
            of_document({"schema": "recast-dm/plan/1"})


class TestCombining:
    def test_what_has_no_likelihood_has_no_point_in_common(self, kept, tmp_path):
        other = tmp_path / "other.json"
        other.write_text(json.dumps({**scans.document(), "analysis": "another"}))
        with pytest.raises(UsageError, match="no point in common"):
            recast_dm.combine(kept, other)
        with pytest.raises(UsageError, match="two searches"):
            recast_dm.combine(kept)

    def test_two_searches(self, tmp_path):
        for name in ("one", "two"):
            leave(tmp_path / name, name)
        alone = recast_dm.read(tmp_path / "one").points[0]["mu_upper_obs"]
        found = recast_dm.combine(tmp_path / "one", tmp_path / "two")
        assert repr(found) == "<one + two, spin1-axial: 1 points>"
        assert found.points[0]["mu_upper_obs"] < alone
        assert "m_med = 500" in found._repr_html_()


def leave(place: Path, name: str) -> None:
    """The run directory of a scan of one point, with its likelihood."""
    document = {**scans.document(m_med=(500.0,), m_dm=(1.0, 50.0)), "analysis": name}
    background = {"name": "background", "data": [50.0], "modifiers": [{"name": "b", "type": "shapesys", "data": [5.0]}]}
    workspace = {
        "channels": [{"name": name, "samples": [background]}],
        "observations": [{"name": name, "data": [52.0]}],
        "measurements": [{"name": "limit", "config": {"poi": "mu", "parameters": []}}],
        "version": "1.0.0",
    }
    modifiers = [{"name": "mu", "type": "normfactor", "data": None}]
    sample = {"name": "signal", "data": [10.0], "modifiers": modifiers}
    point = document["points"][0]
    point.update(mu_upper_obs=2.0, mu_upper_exp=[1.0, 1.2, 1.8, 2.5, 3.0])
    keys = ("sigma_pb", "cls_obs", "cls_exp", "mu_upper_obs", "mu_upper_exp")
    files = {
        "scan.json": document,
        ".records/none.json": {},
        "point/0/workspace/0/workspace.json": workspace,
        "point/0/signal/0/patch.json": [{"op": "add", "path": "/channels/0/samples/-", "value": sample}],
        "point/0/limit/0/limit.json": {"schema": "recast-dm/limit-stage/1", **{key: point[key] for key in keys}},
    }
    for path, content in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(json.dumps(content))


class TestPlanes:
    def test_of_a_scan(self, fake, kept):
        found = recast_dm.planes(kept)
        assert {"SD-p", "SD-n"} <= set(found)
        assert "SI" in found.absent
        assert found["SD-p"]["curves"]
        assert found["SD-p"].plot().axes
        assert list(recast_dm.planes(recast_dm.read(kept), "SD-n")) == ["SD-n"]

    def test_of_what_has_none(self, fake, kept, toy_directory):
        limit = recast_dm.rerun(toy_directory, "spin1-axial", m_med=1000, m_dm=1)
        with pytest.raises(UsageError, match="is no scan"):
            recast_dm.planes(limit.directory)

    def test_curves_of_the_user_are_among_them(self, fake, tmp_path, monkeypatch):
        shipped = set(api.curves())
        monkeypatch.setenv("RECAST_DM_CURVES", str(tmp_path / "curves.json"))
        mine = replace(api.curves()["lz-2024-si"], name="mine")
        kept = {**mine.document(), "source": "mine.csv", "added": "2026-01-01T00:00:00+00:00"}
        (tmp_path / "curves.json").write_text(json.dumps({"schema": "recast-dm/curves/1", "curves": [kept]}))
        assert set(api.curves()) - shipped == {"mine"}


class TestModels:
    def test_they_are_a_mapping(self):
        found = recast_dm.models()
        assert {"spin1-axial", "spin1-vector", "add"} <= set(found)
        assert found["spin1-axial"].parameter("g_q").default == 0.25
        assert "axial" in found._repr_html_()
        with pytest.raises(KeyError):
            found["spin1-axail"]
