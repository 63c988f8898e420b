"""submit and download against the stand-in, which executes: the result is that of a run here, and sent once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from preserving import capture
from workbench import TOY_IMAGE, shell

from recast_dm import runtimes, schemas
from recast_dm.cli import options, reana
from recast_dm.images.fake import FakeSource
from recast_dm.runtimes.fake import FakeRuntime
from recast_dm.spec import analysis
from tests.reana import user
from tests.reana.engines import AtOnce
from tests.reana.execution import Execution
from tests.reana.standin import Site, Standin, await_end

POINT = ("--model", "spin1-axial", "--set", "m_med=500", "--set", "m_dm=1")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    return user.place(tmp_path, monkeypatch)


@pytest.fixture
def join(tmp_path, monkeypatch) -> Callable[..., Standin]:
    """Makes a stand-in the server of the command line, for a user whose cache is empty."""

    def joined(standin: Standin, cache: str = "cache") -> Standin:
        return user.join(monkeypatch, standin, cache_dir=tmp_path / cache)

    return joined


@pytest.fixture
def standin(tmp_path, join):
    engine = Execution(runtime=FakeRuntime({TOY_IMAGE: shell}), called=lambda _: TOY_IMAGE)
    with Standin(tmp_path / "server", engine=engine) as found:
        yield join(found)


@pytest.fixture
def cli(cli, here) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line; whatever it says, and whatever it leaves behind, is without the token."""

    def run(*words: object) -> tuple[int, str, str]:
        code, out, err = cli(*words)
        assert "canary" not in out + err
        assert "Traceback" not in out + err
        assert "defect" not in err
        return code, out, err

    yield run
    for place in here.parent.rglob("*"):
        assert place.is_dir() or b"canary-token" not in place.read_bytes(), place


@pytest.fixture(scope="module")
def captured(toy_directory, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("captured")
    found = analysis.load(toy_directory)
    initdata = {**found.example.initdata, "m_med": 1000.0, "m_dm": 1.0}
    return capture(toy_directory, place / "toy.capsule", FakeSource([TOY_IMAGE]), place / "images", initdata).path


@pytest.fixture
def capsule(captured, here, monkeypatch) -> str:
    monkeypatch.setattr(runtimes, "find", lambda _name: FakeRuntime({TOY_IMAGE: shell}))
    Path("toy.capsule").symlink_to(captured)
    return "toy.capsule"


def document(cli, name: str, *words: object) -> Any:
    code, out, err = cli(*words, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert schemas.problem(name, found) is None
    return found


def limit(directory: Path | str) -> Any:
    found = json.loads((Path(directory) / "result.json").read_text())
    return {key: found[key] for key in ("parameters", "mu_upper_obs", "mu_upper_exp", "cls_obs", "closure")}


class TestSubmitAndDownload:
    def test_the_result_is_that_of_a_run_here(self, cli, standin, capsule):
        sent = document(cli, "submission-1", "submit", capsule, *POINT, "--workdir", "there")
        assert sent["state"] == "started"
        assert cli("status", "there", "--watch")[0] == 0
        got = document(cli, "download-1", "download", "there")
        assert got["workflow"] == sent["workflow"]
        assert [step["step"] for step in got["steps"]] == ["count/0", "count/1", "limit/0"]
        assert cli("rerun", capsule, *POINT, "--workdir", "local", "--no-cache", "-q")[0] == 0
        assert limit("there") == limit("local")
        assert cli("diff", "local", "there")[0] == 0
        assert "excluded" in cli("limits", "there")[1]
        assert cli("report", "there", "-o", "report.html")[0] == 0
        assert "3/3 steps" in cli("status", "there")[1]

    def test_waiting_for_it(self, cli, standin, capsule):
        found = document(cli, "limit-1", "submit", capsule, *POINT, "--wait", "--workdir", "there")
        assert Path(found["run_dir"]) == Path("there").absolute()
        assert limit("there")["parameters"]["m_med"] == 500

    def test_repeated_it_finds_what_was_submitted(self, cli, standin, capsule):
        first = document(cli, "submission-1", "submit", capsule, *POINT, "--workdir", "there")
        assert document(cli, "submission-1", "submit", capsule, *POINT, "--workdir", "there")["id"] == first["id"]
        assert document(cli, "submission-1", "submit", capsule, *POINT, "--workdir", "other")["id"] == first["id"]
        again = document(cli, "submission-1", "submit", capsule, *POINT, "--workdir", "third", "--again")
        assert again["id"] != first["id"]
        assert len(document(cli, "reana-workflows-1", "ls", "--reana")["workflows"]) == 2

    def test_another_point_is_another_workflow(self, cli, standin, capsule):
        one = cli("submit", capsule, *POINT, "--workdir", "x")[1].strip()
        other = cli("submit", capsule, *POINT[:4], "--set", "m_dm=2", "--workdir", "y")[1].strip()
        assert one.partition(".")[0] != other.partition(".")[0]

    def test_a_point_that_asks_for_the_same_work_has_its_own_result(self, cli, standin, capsule):
        """The toy does not look at couplings: two points are one workflow there, and two results here."""
        one = cli("submit", capsule, *POINT, "--workdir", "x")[1].strip()
        assert cli("submit", capsule, *POINT, "--set", "g_q=0.1", "--workdir", "y")[1].strip() == one
        await_end(standin, one)
        assert [cli("download", each)[0] for each in "xy"] == [0, 0]
        assert [json.loads(Path(each, "result.json").read_text())["parameters"]["g_q"] for each in "xy"] == [0.25, 0.1]

    def test_restarted_the_directory_means_the_new_run(self, cli, standin, capsule):
        w = cli("submit", capsule, *POINT, "--workdir", "there")[1].strip()
        await_end(standin, w)
        assert cli("restart", "there") == (0, f"{w}.1\n", "")
        await_end(standin, f"{w}.1")
        assert document(cli, "download-1", "download", "there")["workflow"] == f"{w}.1"

    def test_a_capsule_as_it_is(self, cli, standin, capsule):
        w = cli("submit", capsule, "-p", "events=500", "--workdir", "there", "--name", "mine")[1].strip()
        assert w == "mine.1"
        await_end(standin, w)
        code, out, _ = cli("download", "there")
        assert (code, "with -p events=500" in out) == (0, True)
        assert json.loads(Path("there/result.json").read_text())["overrides"] == {"events": 500}


class TestManyPoints:
    WORDS = ("--model", "spin1-axial", "--points", "points.csv", "--workdir", "many")

    @pytest.fixture(autouse=True)
    def points(self, here):
        (here / "points.csv").write_text("m_med,m_dm\n500,1\n500,2\n")

    def test_each_is_a_workflow_and_all_are_collected(self, cli, standin, capsule):
        code, out, err = cli("submit", capsule, *self.WORDS, "--at-once", "2")
        assert code == 0, err
        assert out.count("excluded") == 2
        assert len(document(cli, "reana-workflows-1", "ls", "--reana")["workflows"]) == 2
        assert document(cli, "scan-1", "submit", capsule, *self.WORDS, "-q")["points"][1]["parameters"]["m_dm"] == 2
        assert len(document(cli, "reana-workflows-1", "ls", "--reana")["workflows"]) == 2
        assert "3/3 steps" in cli("status", "many/point/1")[1]

    @pytest.mark.parametrize("words", [["--wait"], ["--name", "mine"], ["--again"]])
    def test_words_of_one_point(self, cli, standin, capsule, words):
        code, _, err = cli("submit", capsule, *self.WORDS, *words)
        assert code == 2
        assert "--points goes without" in err

    def test_no_model(self, cli, standin, capsule):
        assert "--points are of a signal model" in cli("submit", capsule, "--points", "points.csv")[2]


class TestFromAnotherMachine:
    """No submission.json, no cache: the name of the workflow is all there is."""

    @pytest.fixture
    def w(self, cli, standin, capsule, join) -> str:
        w = cli("submit", capsule, *POINT, "--workdir", "there")[1].strip()
        await_end(standin, w)
        join(standin, "other-cache")
        return w

    def test_with_the_capsule(self, cli, capsule, w):
        code, out, err = cli("download", w, "-o", "got", "--capsule", capsule, "--k-factor", "drell-yan")
        assert (code, "toy: Toy counting experiment" in out) == (0, True), err
        assert json.loads(Path("got/result.json").read_text())["model"] == "spin1-axial"
        assert document(cli, "reana-status-1", "status", w)["outcome"] == "success"

    def test_without_it(self, cli, w):
        found = document(cli, "download-1", "download", w, "-o", "got")
        assert (found["result"], len(found["steps"])) == (None, 3)
        assert cli("diff", "got", "got")[0] == 0
        assert (Path("got/limit/0/limit.json")).is_file()

    def test_with_another_capsule(self, cli, toy_directory, w):
        err = cli("download", w, "-o", "got", "--capsule", str(toy_directory))[2]
        assert "what was submitted is of toy (capsule" in err

    def test_only_some_files(self, cli, w):
        code, out, _ = cli("download", w, "limit/limit.json", "count_?/*", "-o", "files")
        assert code == 0
        assert {"files/limit/limit.json", "files/count_0/counts.json"} <= set(out.split())
        assert not Path("files/inputs").exists()
        assert document(cli, "download-1", "download", "-w", w, "limit", "-o", "more")["run_dir"] is None
        assert "has no nosuch" in cli("download", w, "nosuch", "-o", "files")[2]


class TestWhatDoesNotGoWell:
    def test_a_step_that_fails_there(self, cli, standin, capsule):
        words = ("submit", capsule, *POINT, "-p", "program=nosuch.py", "--workdir", "there")
        w = cli(*words)[1].strip()
        await_end(standin, w)
        code, _, err = cli("download", "there")
        assert code == 1
        assert "count/0" in err
        assert "nosuch.py" in cli("logs", "there", "count/0")[1]
        assert cli(*words)[1].strip() == w.replace(".1", ".2"), "what failed is begun anew"

    def test_what_reana_calls_failed_though_everything_is_there(self, cli, standin, capsule):
        """Its engine died over a picture, after the last step: a success, and it is said."""
        w = cli("submit", capsule, *POINT, "--workdir", "there")[1].strip()
        await_end(standin, w).status = "failed"
        assert cli("status", "there", "--watch")[0] == 0
        code, out, err = cli("download", "there")
        assert code == 0
        assert "REANA calls it failed, but every step finished and every output is there" in err
        assert "EXCLUDED" in out

    def test_what_it_calls_finished_though_an_output_is_missing(self, cli, standin, capsule):
        w = cli("submit", capsule, *POINT, "--workdir", "there")[1].strip()
        (await_end(standin, w).workspace / "limit/limit.json").unlink()
        code, _, err = cli("status", "there", "--watch")
        assert code == 1
        code, out, err = cli("download", "there")
        assert code == 1
        assert "EXCLUDED" not in out
        assert "limit/0" in err

    def test_one_that_has_not_ended(self, tmp_path, join, cli, capsule):
        with Standin(tmp_path / "server", engine=AtOnce(work=1e6)) as standin:
            join(standin)
            w = cli("submit", capsule, *POINT, "--workdir", "there")[1].strip()
            code, _, err = cli("download", "there")
            assert code == 2
            assert f"{w} has not ended" in err
            assert f"recast-dm status {w} --watch" in err

    def test_one_that_somebody_else_submitted(self, cli, standin):
        api = reana.connected()
        w = api.create("theirs", {"workflow": {"type": "yadage", "file": "w.yml"}}, {}).name
        assert "has not ended: it is created" in cli("download", w, "-o", "got")[2]
        run = standin.find(w)
        run.status = "finished"
        code, _, err = cli("download", w, "-o", "got")
        assert code == 2
        assert "theirs.1 was not submitted with recast-dm" in err
        assert not Path("got/run.json").exists()

    def test_a_site_that_is_full_is_sent_nothing(self, tmp_path, join, cli, capsule):
        with Standin(tmp_path / "server", site=Site(disk_limit=100)) as standin:
            join(standin)
            code, _, err = cli("submit", capsule, *POINT, "--workdir", "there")
            assert code == 2
            assert "disk quota" in err
            assert standin.runs == {}

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--set", "m_med=1"], "--set, --benchmark and --events are of a signal model"),
            ([*POINT, "--name", "a.b"], "it has a dot"),
            ([*POINT, "-p", "m_med=1"], "m_med"),
            (["--model", "nosuch"], "nosuch"),
        ],
    )
    def test_words_that_are_wrong(self, cli, standin, capsule, words, message):
        code, _, err = cli("submit", capsule, *words, "--workdir", "there")
        assert code == 2
        assert message in err
        assert standin.runs == {}

    def test_an_analysis_whose_images_nobody_captured(self, cli, standin, toy_directory):
        code, _, err = cli("submit", toy_directory, *POINT)
        assert code == 2
        assert "recast-dm capture" in err
        assert "--registry is for a capsule" in cli("submit", toy_directory, *POINT, "--registry", "localhost:5000")[2]
        assert standin.runs == {}

    def test_a_registry_that_does_not_answer(self, cli, standin, capsule):
        """Found before anything is sent, with the line that mends it."""
        code, out, _ = cli("submit", capsule, *POINT, "--registry", "localhost:1", "--json")
        found = json.loads(out)
        assert (code, found["kind"]) == (2, "usage")
        assert "cannot be pulled" in found["message"]
        assert "recast-dm images push" in found["hint"]
        assert standin.runs == {}

    def test_no_server(self, cli, capsule, monkeypatch):
        monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, reana=None))
        assert cli("submit", capsule, *POINT)[0] == 2
        assert cli("download", "w.1", "-o", "got")[0] == 2
