"""`recast-dm diff`: what is other in one capsule or run than in another, and whether their outputs agree."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import localruns
import looking
import preserving
import pytest
from looking import document, refused
from workbench import TOY_IMAGE, Seen, rewrite, toy

from recast_dm import reinterpret, schemas
from recast_dm.backends.local import Local
from recast_dm.capsule import Capsule
from recast_dm.capsule import difference as differences
from recast_dm.capsule.capture import Reference
from recast_dm.engine import history
from recast_dm.images.blobs import Blobs
from recast_dm.images.fake import FakeSource
from recast_dm.images.layout import Stored
from recast_dm.model import Image
from recast_dm.reinterpret import preserve
from recast_dm.runtimes.fake import FakeRuntime
from recast_dm.spec import analysis
from recast_dm.spec.reference import Rule

cli, runs = looking.cli, looking.runs  # fixtures
Change = Callable[[Path], None]


# --- runs -------------------------------------------------------------------------------------------------------------


def overwrite(path: Path, text: str) -> None:
    """Changes a sealed file of one run only."""
    path.unlink()
    path.write_text(text)


def rules(directory: Path, *found: Rule) -> None:
    rewrite(directory / "run.json", lambda about: about.update(reference=[rule.document() for rule in found]))


class TestRuns:
    def test_the_same_work_agrees_whatever_the_ids_and_times(self, cli, runs):
        localruns.execute(runs / "again", m=1)
        code, out, err = cli("diff", "a", "again")
        assert (code, err) == (0, "")
        assert "9 of 9 outputs agree" in out
        assert "changed" not in out
        found = document(cli, "diff", "a", "again")
        assert (found["agrees"], found["steps"], found["about"], found["images"]) == (True, [], [], [])
        assert {result["measure"] for result in found["results"]} == {"identical"}

    def test_without_rules_every_published_file_is_compared_byte_by_byte(self, cli, runs):
        found = document(cli, "diff", "a", "b", code=5)
        wrong = {result["path"]: result["measure"] for result in found["results"] if not result["agrees"]}
        assert wrong["signal/0/out"] == "different"
        assert {result["path"] for result in found["results"]} - set(wrong) == {"background/0/out"}
        assert {result["rule"]["compare"] for result in found["results"]} == {"exact"}

    def test_what_differs_and_where_it_began(self, cli, runs):
        code, out, _ = cli("diff", "a", "b")
        assert code == 5
        assert ["parameters.m_med", "1.0", "2.0"] in [line.split() for line in out.splitlines()]
        assert "other work began at signal/0\n  parameters m: 1 → 2" in out
        assert "began at limit/0" not in out
        found = document(cli, "diff", "a", "b", code=5)
        assert {"step": "limit/0", "change": "changed"} in found["steps"]
        assert [cause["step"] for cause in found["causes"]] == ["signal/0", "signal/1"]

    def test_the_rules_that_the_runs_carry(self, cli, runs):
        for name in ("a", "b"):
            rules(runs / name, Rule("background/out"), Rule("signal/*/out", "json", rtol=1e-9))
            overwrite(runs / name / "signal/0/out", "[1, 2.0]")
            overwrite(runs / name / "signal/1/out", "[1, 2.0]" if name == "a" else "[1, 2.0000000001]")
        found = document(cli, "diff", "a", "b")
        assert [(each["path"], each["measure"]) for each in found["results"]] == [
            ("background/out", "identical"),
            ("signal/0/out", "identical"),
            ("signal/1/out", pytest.approx(5e-11)),
        ]
        overwrite(runs / "b/signal/1/out", "[1, 2.1]")
        code, out, _ = cli("diff", "a", "b")
        assert code == 5
        assert "signal/1/out    json      NO      0.0476     at most 1e-09  /1: 2.0 and 2.1" in out
        assert out.endswith("\n2 of 3 outputs agree\n")

    def test_the_rules_of_the_first_hold_and_others_are_shown(self, cli, runs):
        rules(runs / "a", Rule("background/out"))
        rules(runs / "b", Rule("limit/out"))
        found = document(cli, "diff", "a", "b")
        assert [each["path"] for each in found["results"]] == ["background/out"]
        assert [each["name"] for each in found["rules"]] == ["background/out", "limit/out"]

    def test_rules_of_either_do_for_a_run_that_has_none(self, cli, runs):
        rules(runs / "b", Rule("background/out"))
        assert [each["path"] for each in document(cli, "diff", "a", "b")["results"]] == ["background/out"]

    def test_a_run_that_failed_lacks_outputs(self, cli, runs):
        found = document(cli, "diff", "b", "c", code=5)
        missing = [each["path"] for each in found["results"] if each["measure"] == "missing"]
        assert "summary/0/out" in missing
        assert {"step": "summary/0", "change": "removed"} in found["steps"]

    def test_a_file_that_is_gone(self, cli, runs):
        localruns.execute(runs / "again", m=1)
        (runs / "again/limit/0/out").unlink()
        code, out, _ = cli("diff", "a", "again")
        assert code == 5
        assert "not in the second" in out

    @pytest.mark.parametrize("said", ["../../secret", "limit/0/../../../secret", "limit/0/out\0"])
    def test_a_record_cannot_name_files_elsewhere(self, cli, runs, said):
        (runs.parent / "secret").write_text("x")
        for name in ("a", "b"):
            record = runs / name / ".records/limit/0.json"
            rewrite(record, lambda found: found["published"].update(out=said))
        found = document(cli, "diff", "a", "b", code=5)
        assert not [each for each in found["results"] if "secret" in each["path"] or "limit" in each["path"]]

    @pytest.mark.parametrize(
        ("reference", "message"),
        [
            ([{"path": "../x", "compare": "exact"}], "does not lie in a run directory"),
            ([{"path": "a/x", "compare": "magic"}], "'magic' is not one of"),
            ("none", "'none' is not of type 'array'"),
        ],
    )
    def test_rules_that_are_none(self, cli, runs, reference, message):
        rewrite(runs / "b/run.json", lambda about: about.update(reference=reference))
        assert message in refused(cli, "diff", "a", "b", code=5)

    def test_nothing_to_compare(self, cli, runs):
        for name in ("a", "b"):
            rules(runs / name)
        assert "nothing to compare" in refused(cli, "diff", "a", "b")

    def test_no_run(self, cli, runs):
        assert "there is no run 'd'" in refused(cli, "diff", "a", "d")


# --- capsules ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def backend() -> Local:
    return Local(runtime=FakeRuntime({TOY_IMAGE: toy}), jobs=2, cache=None)


@pytest.fixture
def capture(toy_directory, tmp_path, backend) -> Callable[..., Capsule]:
    """Captures the toy analysis, changed or not, with its reference run or without."""

    def capture(
        name: str, change: Change = lambda _: None, *, performed: bool = False, source: Any = None, **initdata: Any
    ) -> Capsule:
        place = tmp_path / "src" / name
        shutil.copytree(toy_directory, place, ignore=shutil.ignore_patterns("__pycache__"))
        change(place)
        loaded = analysis.load(place)
        example = {**loaded.example.initdata, "m_med": 1000.0, "m_dm": 1.0, **initdata}

        def perform(_: Path) -> Reference:
            subject = reinterpret.of_analysis(loaded, example)
            done = reinterpret.run(subject, backend, tmp_path / f"reference-{name}", Seen())
            return preserve.reference_of(subject, done.finished)

        return preserving.capture(
            place,
            tmp_path / f"{name}.capsule",
            source or FakeSource([TOY_IMAGE]),
            tmp_path / "images",
            example,
            perform=perform if performed else None,
        )

    return capture


@pytest.fixture
def run(tmp_path, backend, monkeypatch) -> Callable[..., Path]:
    """Runs a capsule or an analysis below the temporary directory."""
    monkeypatch.chdir(tmp_path)

    def run(subject: Capsule | analysis.Analysis, directory: Path, **overrides: Any) -> Path:
        if isinstance(subject, Capsule):
            opened = reinterpret.of_capsule(subject)
        else:
            opened = reinterpret.of_analysis(subject, reinterpret.example_inputs(subject))
        return reinterpret.run(opened, backend, directory, Seen(), overrides).finished.directory

    return run


def edit(file: str, old: str, new: str) -> Change:
    def change(place: Path) -> None:
        text = (place / file).read_text()
        assert old in text
        (place / file).write_text(text.replace(old, new, 1))

    return change


class TestCapsules:
    def test_the_same_capsule(self, cli, capture):
        capture("a"), capture("b")
        code, out, _ = cli("diff", "a.capsule", "b.capsule")
        assert code == 0
        assert out.splitlines()[2:] == ["", "outputs are not compared: the first and second holds none"]
        found = document(cli, "diff", "a.capsule", "b.capsule")
        empty = ("about", "stages", "images", "inputs", "rules", "steps", "causes")
        assert {name: found[name] for name in empty} == {name: [] for name in empty}
        assert (found["agrees"], found["results"], found["workflow"]) == (None, None, "")

    def test_what_changed_in_the_specification(self, cli, capture):
        capture("a")
        capture("b", edit("steps.yml", "setting a limit", "setting the limit"))
        found = document(cli, "diff", "a.capsule", "b.capsule")
        assert found["stages"] == [{"stage": "limit", "change": "changed"}]
        assert found["inputs"] == [{"path": "steps.yml", "change": "changed"}]
        lines = found["workflow"].splitlines()
        assert lines[0] == "--- a.capsule/data/workflow.yml"
        assert any(line.startswith("+") and "setting the limit" in line for line in lines)
        assert "setting the limit" in cli("diff", "a.capsule", "b.capsule")[1]

    def test_a_stage_more(self, cli, capture):
        def add(place: Path) -> None:
            with (place / "workflow.yml").open("a") as file:
                file.write(
                    "  - name: copy\n    dependencies: [limit]\n    scheduler:\n"
                    "      scheduler_type: singlestep-stage\n      parameters: {x: 1}\n"
                    "      step: {process: null, environment: null,"
                    " publisher: {publisher_type: frompar-pub, outputmap: {x: x}}}\n"
                )

        capture("a"), capture("b", add)
        found = document(cli, "diff", "a.capsule", "b.capsule")
        assert found["stages"] == [{"stage": "copy", "change": "added"}]
        assert document(cli, "diff", "b.capsule", "a.capsule")["stages"] == [{"stage": "copy", "change": "removed"}]

    def test_inputs_init_parameters_and_rules(self, cli, capture):
        def change(place: Path) -> None:
            (place / "data/more").write_text("more")
            edit("recast.yml", "closure:", "reference:\n- {path: limit/limit.json, compare: limit}\nclosure:")(place)

        capture("a"), capture("b", change, events=2000)
        found = document(cli, "diff", "a.capsule", "b.capsule")
        assert found["inputs"] == [
            {"path": "data/more", "change": "added"},
            {"path": "recast.yml", "change": "changed"},
        ]
        assert [each["name"] for each in found["about"]] == ["initdata.events"]
        assert found["first"]["id"] != found["second"]["id"]
        (rule,) = found["rules"]
        assert (rule["before"]["compare"], rule["after"]["compare"]) == ("exact", "limit")

    def test_reference_outputs_are_compared(self, cli, capture, run):
        rule = edit(
            "recast.yml", "closure:", "reference:\n- {path: limit/limit.json, compare: limit, rtol: 0.2}\nclosure:"
        )
        for name, events in (("a", 1000), ("b", 1000), ("c", 1001), ("d", 10)):
            capture(name, rule, performed=True, events=events)
        assert document(cli, "diff", "a.capsule", "b.capsule")["results"][0]["measure"] == "identical"
        found = document(cli, "diff", "a.capsule", "c.capsule")["results"][0]
        assert (found["path"], found["bound"]) == ("limit/limit.json", 0.2)
        assert 0 < found["measure"] < 0.2
        assert document(cli, "diff", "a.capsule", "d.capsule", code=5)["agrees"] is False

    def test_a_capsule_and_its_rerun(self, cli, capture, run):
        capsule = capture("a", performed=True)
        run(capsule, Path("second"))
        for words in (("a.capsule", "second"), ("second", "a.capsule")):
            found = document(cli, "diff", *words)
            assert found["about"] == []
            assert cli("diff", *words)[1].endswith("\n1 of 1 outputs agree\n")
        run(capsule, Path("third"), events=10)
        code, out, _ = cli("diff", "a.capsule", "third")
        assert code == 5
        assert ["initdata.events", "1000", "10"] in [line.split() for line in out.splitlines()]
        assert out.endswith("\nno output agrees\n")

    def test_a_capsule_without_reference_outputs_and_a_run(self, cli, capture, run):
        run(capture("a"), Path("run"))
        assert "a.capsule holds no reference outputs" in refused(cli, "diff", "a.capsule", "run")

    def test_a_capsule_that_was_changed_is_not_compared(self, cli, capture):
        capture("a")
        path = capture("b").path / "data/analysis/data/toy.py"
        path.chmod(0o644)
        path.write_text("changed")
        refused(cli, "diff", "a.capsule", "b.capsule", code=5)

    def test_a_run_carries_the_rules_of_its_analysis(self, capture, run, toy_analysis):
        captured = capture(
            "a", edit("recast.yml", "closure:", "reference:\n- {path: limit/limit.json, compare: limit}\nclosure:")
        )
        for subject, directory in ((captured, Path("one")), (toy_analysis, Path("two"))):
            place = run(subject, directory)
            about = json.loads((place / "run.json").read_bytes())
            assert schemas.problem("run-1", about) is None
            expected = analysis.rules_of(subject.analysis if isinstance(subject, Capsule) else subject)
            assert differences.of_run(history.read(place)).rules == expected

    def test_other_rules_do_not_keep_a_run_from_being_resumed(self, run, toy_analysis):
        run(toy_analysis, Path("one"))
        changed = replace(toy_analysis, reference=(Rule("limit/*/*", "json"),))
        run(changed, Path("one"))
        assert differences.of_run(history.read(Path("one"))).rules == changed.reference


class TestImages:
    def image(self, reference: str, *layers: str, **config: Any) -> Image:
        return Image(reference=reference, image_id="sha256:x", diff_ids=layers, platform="linux/amd64", config=config)

    def test_layers(self):
        before = [self.image("one", "base", "a"), self.image("same", "base"), self.image("gone", "base", "g")]
        after = [self.image("one", "base", "b", "c"), self.image("same", "base"), self.image("new", "base", "a", "n")]
        one, gone, new = differences.image_changes(before, after)
        assert (one.reference, one.change, one.common, one.removed, one.added) == (
            "one", "changed", ("base",), ("a",), ("b", "c"),
        )  # fmt: skip
        assert (gone.change, gone.common, gone.removed, gone.added) == ("removed", ("base",), ("g",), ())
        assert (new.change, new.common, new.removed, new.added) == ("added", ("base", "a"), (), ("n",))

    def test_settings(self):
        (found,) = differences.image_changes([self.image("x", "a", env=["A=1"])], [self.image("x", "a", env=["A=2"])])
        assert (found.change, found.removed, found.added) == ("changed", (), ())
        assert found.config == (differences.ValueChange("env[0]", "A=1", "A=2"),)

    def test_what_an_engine_calls_an_image_is_no_difference(self):
        one = self.image("x", "a")
        assert list(differences.image_changes([one], [replace(one, image_id="sha256:y")])) == []

    def test_sizes_and_layers_are_shown(self, cli, capture):
        class Rebuilt(FakeSource):
            """The image of that name is another one."""

            def take(self, references: Sequence[str], shared: Blobs) -> dict[str, Stored]:
                (other,) = super().take(["other:1"], shared).values()
                return {each: replace(other, image=replace(other.image, reference=each)) for each in references}

        capture("a")
        capture("b", source=Rebuilt(["other:1"]))
        (image,) = document(cli, "diff", "a.capsule", "b.capsule")["images"]
        assert (image["reference"], image["change"], image["common"]) == (TOY_IMAGE, "changed", [])
        (added,) = image["added"]
        assert added["size"] > 0
        assert (
            f"  added    {added['diff_id'][:19]}  {added['size'] / 1000:.1f} kB"
            in cli("diff", "a.capsule", "b.capsule")[1]
        )
