"""The translation for REANA: the shell there sees the words that it sees here, or nothing is sent."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recast_dm import store
from recast_dm.backends import Work
from recast_dm.backends.reana.translate import INPUTS, NOTE, WORKFLOW, Translated, translate
from recast_dm.engine import command, expand, key
from recast_dm.engine.cache import Entry, StepCache
from recast_dm.errors import SpecError
from recast_dm.images.placed import Placed
from recast_dm.model import INIT, Image, Policy
from recast_dm.reinterpret import opening, planned
from recast_dm.spec import source, yadage
from tests import strategies

ROOT = Path(__file__).parents[2]
IMAGE = Image(reference="some/image:1", image_id="sha256:1", diff_ids=("sha256:2",), platform="linux/amd64")
PLACED = {"some/image:1": Placed(f"localhost:5000/some/image@sha256:{'a' * 64}", IMAGE)}
ENVIRONMENT = {"environment_type": "docker-encapsulated", "image": "some/image", "imagetag": "1"}
SHOW = 'for w in "$@"; do printf "<%s>" "$w"; done; printf "\\n"'
"""A program that shows its words."""


def step(process: dict[str, Any], parameters: dict[str, Any], **environment: Any) -> dict[str, Any]:
    return {
        "stages": [
            {
                "name": "one",
                "dependencies": ["init"],
                "scheduler": {
                    "scheduler_type": "singlestep-stage",
                    "parameters": {
                        **{name: {"step": "init", "output": name} for name in parameters},
                        "out": "{workdir}/out",
                    },
                    "step": {
                        "process": process,
                        "environment": {**ENVIRONMENT, **environment},
                        "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{out}"}, "glob": False},
                    },
                },
            }
        ]
    }


def command_of(text: str) -> dict[str, Any]:
    return {"process_type": "string-interpolated-cmd", "cmd": text}


def script_of(text: str, interpreter: str = "sh") -> dict[str, Any]:
    return {"process_type": "interpolated-script-cmd", "script": text, "interpreter": interpreter}


def work(document: dict[str, Any], initdata: dict[str, Any], **more: Any) -> Work:
    workflow = yadage.read_flattened(document, frozenset(more.get("relaxations", {})), "workflow.yml")
    return Work(workflow=workflow, initdata=initdata, pinned={"some/image:1": IMAGE}, **more)


def translated(document: dict[str, Any], initdata: dict[str, Any], **more: Any) -> Translated:
    return translate(work(document, initdata, **more), images=PLACED, results={})


def stages(found: Translated) -> list[dict[str, Any]]:
    content = found.files[WORKFLOW]
    assert isinstance(content, bytes)
    listed: list[dict[str, Any]] = yaml.safe_load(content)["stages"]
    return listed


def as_text(value: Any) -> Any:
    """A parameter as upstream puts it into a command."""
    return " ".join(map(str, value)) if isinstance(value, list) else value


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Runs what is given to a shell in a directory of its own, with `show` on the path; gives what was shown."""
    place = tmp_path_factory.mktemp("shell")
    show = place / "show"
    show.write_text(f"#!/bin/sh\n{SHOW}\n")
    show.chmod(0o755)
    (place / "empty").mkdir()

    def run(argv: tuple[str, ...], stdin: str | None, env: dict[str, str]) -> tuple[int, bytes]:
        done = subprocess.run(
            argv,
            input=(stdin or "").encode("utf-8", "surrogatepass"),
            capture_output=True,
            cwd=place / "empty",
            env={"PATH": f"{place}:{os.environ['PATH']}", "TMPDIR": str(place), **env},
            check=False,
        )
        assert list((place / "empty").iterdir()) == [], "a command wrote where it should not have been"
        return done.returncode, done.stdout

    return run


def here(flow: Work, shell) -> tuple[int, bytes]:
    """What our engine would start, in a shell of this machine."""
    (only,) = expand.plan(flow.workflow, flow.initdata, None, flow.relaxations)[0]
    call = command.invocation(only, {only.id: "/w"})
    argv = call.argv[4:] if call.scratch else call.argv
    return shell(argv, call.stdin, dict(call.env))


def there(found: Translated, initdata: dict[str, Any], shell) -> tuple[int, bytes]:
    """What REANA's engine would start: values put into the text as upstream does, run by bash."""
    (stage,) = stages(found)
    parameters = {**found.parameters, "out": "/w/out", "recast_dm_workdir": "/w"}
    process = stage["scheduler"]["step"]["process"]
    filled = {name: as_text(value) for name, value in parameters.items()}
    if "cmd" in process:
        return shell(("bash", "-c", process["cmd"].format(**filled)), None, {})
    return shell(tuple(process["interpreter"].split()), process["script"].format(**filled), {})


TEMPLATES = (
    "show {a} {b}",
    "show '{a}' \"{b}\" x{a}y",
    'show "$(printf %s {a})"; show {b}',
    "cat <<'END'\n{a}\nEND\nshow {b}",
    "cat <<END\n{a} {b}\nEND\n",
    "show {{braces}} {a} | cat; show {b:>5}",
    "show {a} # {b}\nshow done",
    "awk 'BEGIN {{ print 1 }}'; show {b}",
)
VALUES = st.one_of(
    strategies.hostile, st.integers(), st.floats(allow_nan=False), st.lists(strategies.hostile, max_size=3)
)


@settings(max_examples=150)
@given(text=st.sampled_from(TEMPLATES), script=st.booleans(), a=VALUES, b=VALUES)
@example(text=TEMPLATES[0], script=False, a="$(touch x); `id`", b="")
@example(text=TEMPLATES[1], script=False, a="it's", b='"')
@example(text=TEMPLATES[0], script=True, a=["a b", "{c}"], b="{a}")
@example(text=TEMPLATES[3], script=False, a="END", b="x")
def test_the_shell_sees_the_same_words(shell, text, script, a, b):
    initdata = {"a": a, "b": b}
    document = step(script_of(text) if script else command_of(text), initdata)
    try:
        found = translated(document, initdata)
    except SpecError:
        return  # nothing is sent
    assert there(found, initdata, shell) == here(work(document, initdata), shell)


@pytest.mark.parametrize("text", TEMPLATES)
def test_plain_values_stay_parameters(shell, text):
    initdata = {"a": "plain-1.0", "b": 7}
    found = translated(step(command_of(text), initdata), initdata)
    (stage,) = stages(found)
    said = stage["scheduler"]["step"]["process"]["cmd"]
    for name in ("a", "b"):
        assert (f"{{{name}" in said) == (f"{{{name}" in text)
    assert found.parameters == initdata


def test_variables_script_and_start_of_an_environment_are_in_the_command(shell, tmp_path):
    (tmp_path / "setup.sh").write_text("FROM_SCRIPT='it is'\n")
    document = step(
        command_of('show "$GREETING" "$FROM_SCRIPT"; pwd'),
        {},
        env={"GREETING": "it's {me}"},
        envscript=str(tmp_path / "setup.sh"),
        workdir=str(tmp_path),
    )
    code, said = there(translated(document, {}), {}, shell)
    assert (code, said.decode()) == (0, f"<it's {{me}}><it is>\n{tmp_path}\n")
    environment = stages(translated(document, {}))[0]["scheduler"]["step"]["environment"]
    assert set(environment) == {"environment_type", "image", "imagetag"}


def test_a_start_below_its_own_directory(shell):
    document = step(command_of("pwd"), {}, workdir="{workdir}")
    (stage,) = stages(translated(document, {}))
    assert stage["scheduler"]["parameters"]["recast_dm_workdir"] == "{workdir}"
    assert stage["scheduler"]["step"]["process"]["cmd"].startswith("cd {recast_dm_workdir} || exit; ")


def test_scripts_of_other_languages_are_handed_over_by_a_shell(shell):
    document = step(script_of("import os\nprint(os.environ['X'], {a})\n", "python3"), {"a": 1}, env={"X": "it's"})
    assert there(translated(document, {"a": 1}), {"a": 1}, shell) == (0, b"it's 1\n")


def test_images_are_named_by_their_digests():
    environment = stages(translated(step(command_of("true"), {}), {}))[0]["scheduler"]["step"]["environment"]
    assert f"{environment['image']}:{environment['imagetag']}" == PLACED["some/image:1"].reference


def test_limits_are_a_list_of_mappings():
    document = step(command_of("true"), {}, resources=["CVMFS", {"kubernetes_memory_limit": "1Gi"}, {"kerberos": True}])
    policies = {"one": Policy(memory=3 * 2**20 + 1, timeout=1.5)}
    found = translated(document, {}, policies=policies)
    assert stages(found)[0]["scheduler"]["step"]["environment"]["resources"] == [
        {"kubernetes_memory_limit": "4Mi"},
        {"kerberos": True},
        {"kubernetes_job_timeout": 2},
    ]
    assert any("'CVMFS'" in note for note in found.notes)


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"par_mounts": [{"jqscript": ".", "mountpath": "/x"}]}, "par_mounts"),
        ({"workdir": "{readdir0}"}, "{readdir0}"),
    ],
)
def test_what_its_engine_leaves_out_and_no_command_can_say(environment, why):
    with pytest.raises(SpecError, match=why):
        translated(step(command_of("true"), {}, **environment), {})


def test_processes_of_a_machine_and_of_people():
    document = step(command_of("true"), {})
    document["stages"][0]["scheduler"]["step"]["environment"] = {"environment_type": "localproc-env"}
    with pytest.raises(SpecError, match="does not run in a container"):
        translated(document, {})


def test_scattered_values_that_a_shell_would_act_on():
    document = step(command_of("show {a}"), {"a": []})
    scheduler = document["stages"][0]["scheduler"]
    scheduler["scheduler_type"] = "multistep-stage"
    scheduler["scatter"] = {"method": "zip", "parameters": ["a"]}
    assert translated(document, {"a": ["x", "y"]}).parameters == {"a": ["x", "y"]}
    with pytest.raises(SpecError, match="the shell would act on it"):
        translated(document, {"a": ["x", "y z"]})


def test_raw_stages_are_left_as_they_are(shell):
    document = step(command_of("show {a}"), {"a": ""})
    found = translated(document, {"a": "x y"}, relaxations={"one": (command.RAW,)})
    assert there(found, {"a": "x y"}, shell) == (0, b"<x><y>\n")


@pytest.mark.parametrize("value", ["reana.yaml", "workflow", ["x", "workflow/workflow.yml"]])
def test_values_that_would_become_files_there(value):
    with pytest.raises(SpecError, match="the name of a file that is sent along"):
        translated(step(command_of("show {a}"), {"a": ""}), {"a": value})


def test_stages_that_would_lie_over_our_files():
    document = step(command_of("true"), {})
    document["stages"][0]["name"] = INPUTS
    with pytest.raises(SpecError, match="rename the stage"):
        translated(document, {})


SHIPPED = ("atlas-exot-2018-06", "cms-exo-20-004", "atlas-susy-2018-31", "dd-curves", "id-veritas-dsph")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_analyses_are_translated_and_read_back(name, tmp_path):
    from recast_dm.config import Config

    subject = opening.opened(
        str(ROOT / "specs" / name), opening.Opening(), tmp_path / "init", Config.from_environment(), print
    )
    plan = planned(subject)
    found = translate(plan.work, images={}, results=plan.work.results)
    for path, each in {**found.files, NOTE: b"{}"}.items():
        target = tmp_path / "sent" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(each if isinstance(each, bytes) else each.read_bytes())
    read = source.open_source(tmp_path / "sent")
    again = yadage.parse_workflow(read.root)
    started = [name for name, spec in plan.work.workflow.step_specs() if spec.starts_something]
    assert [stage.name for stage in again.stages] == started  # what only publishes is done here
    assert read.initdata == found.parameters
    assert found.specification["outputs"]["files"] == list(plan.work.results.values())
    assert json.loads(json.dumps(found.specification)) == found.specification


def test_its_digest_is_of_everything_that_is_sent():
    document = step(command_of("show {a}"), {"a": ""})
    one, same, other = (translated(document, {"a": a}).digest for a in ("x", "x", "y"))
    assert one == same != other


TWO = {
    "stages": [
        {
            "name": "gen",
            "dependencies": ["init"],
            "scheduler": {
                "scheduler_type": "multistep-stage",
                "parameters": {"seed": {"step": "init", "output": "seeds"}, "out": "{workdir}/out"},
                "scatter": {"method": "zip", "parameters": ["seed"]},
                "step": {
                    "process": command_of("echo {seed} > {out}"),
                    "environment": ENVIRONMENT,
                    "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{out}"}, "glob": False},
                },
            },
        },
        {
            "name": "sum",
            "dependencies": ["gen"],
            "scheduler": {
                "scheduler_type": "singlestep-stage",
                "parameters": {"parts": {"stages": "gen", "output": "out"}, "out": "{workdir}/sum"},
                "step": {
                    "process": command_of("cat {parts} > {out}"),
                    "environment": ENVIRONMENT,
                    "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{out}"}, "glob": False},
                },
            },
        },
    ]
}


def kept_by(flow: Work, place: Path, seeds: set[int]) -> StepCache:
    """A cache with the outputs of some of the steps of `gen`."""
    cache = StepCache(place / "cache")
    for one in expand.plan(flow.workflow, flow.initdata, None, {})[0]:
        if one.id.stage == "gen" and one.named()["seed"] in seeds:
            tree = place / str(one.id)
            tree.mkdir(parents=True)
            (tree / "out").write_text(f"{one.named()['seed']}\n")
            parts = key.parts(one, IMAGE, {INIT: store.Tree(()).sha256})
            cache.put(key.of(parts), store.tree_of(tree), tree, {})
    return cache


class TestReused:
    def test_a_stage_that_is_here_is_sent_along(self, tmp_path):
        flow = work(TWO, {"seeds": [1, 2]})
        cache = kept_by(flow, tmp_path, {1, 2})
        found = translate(flow, images=PLACED, results={"sum": "sum/sum"}, kept=cache.get)
        (stage,) = stages(found)
        assert stage["name"] == "sum"
        assert stage["dependencies"] == ["init"]
        assert stage["scheduler"]["parameters"]["parts"] == {"step": "init", "output": "reused_gen_out"}
        assert found.parameters["reused_gen_out"] == ["reused/gen/0/out", "reused/gen/1/out"]
        assert Path(str(found.files["reused/gen/1/out"])).read_text() == "2\n"
        assert [str(each) for each in found.reused] == ["gen/0", "gen/1"]
        assert "reused/gen/0/out" in found.specification["inputs"]["files"]

    def test_half_a_stage_is_run(self, tmp_path):
        flow = work(TWO, {"seeds": [1, 2]})
        found = translate(flow, images=PLACED, results={}, kept=kept_by(flow, tmp_path, {1}).get)
        assert [each["name"] for each in stages(found)] == ["gen", "sum"]
        assert found.reused == ()

    def test_other_uses_than_one_output_keep_it(self, tmp_path):
        document = json.loads(json.dumps(TWO))
        document["stages"][1]["scheduler"]["parameters"]["parts"]["flatten"] = True
        flow = work(document, {"seeds": [1, 2]})
        found = translate(flow, images=PLACED, results={}, kept=kept_by(flow, tmp_path, {1, 2}).get)
        assert [each["name"] for each in stages(found)] == ["gen", "sum"]

    def test_other_work_is_not_taken_for_it(self, tmp_path):
        cache = kept_by(work(TWO, {"seeds": [1, 2]}), tmp_path, {1, 2})
        found = translate(work(TWO, {"seeds": [1, 3]}), images=PLACED, results={}, kept=cache.get)
        assert found.reused == ()

    @pytest.mark.parametrize(
        "change",
        [
            lambda stage: stage.update(dependencies={"dependency_type": "jsonpath_ready", "expressions": ["gen"]}),
            lambda stage: stage.update(dependencies=["gen[*]"]),
            lambda stage: stage["scheduler"]["parameters"].update(
                parts={"stages": "gen", "output": "out", "unwrap": True}
            ),
        ],
    )
    def test_uses_that_cannot_be_told_otherwise(self, change, tmp_path):
        document = json.loads(json.dumps(TWO))
        change(document["stages"][1])
        flow = work(document, {"seeds": [1, 2]})
        found = translate(flow, images=PLACED, results={}, kept=kept_by(flow, tmp_path, {1, 2}).get)
        assert [each["name"] for each in stages(found)] == ["gen", "sum"]

    def test_a_workflow_within_has_stages_of_its_own(self, tmp_path):
        """`gen` of the inner workflow is another stage than the one that is sent along."""
        inner = json.loads(json.dumps(TWO))
        scheduler = {
            "scheduler_type": "singlestep-stage",
            "parameters": {"seeds": {"step": "init", "output": "seeds"}, "first": {"stages": "gen", "output": "out"}},
            "workflow": inner,
        }
        outer = {"stages": [TWO["stages"][0], {"name": "sub", "dependencies": ["gen"], "scheduler": scheduler}]}
        flow = work(outer, {"seeds": [1, 2]})
        found = translate(flow, images=PLACED, results={}, kept=kept_by(flow, tmp_path, {1, 2}).get)
        (stage,) = stages(found)
        assert stage["scheduler"]["parameters"]["first"] == {"step": "init", "output": "reused_gen_out"}
        within = stage["scheduler"]["workflow"]["stages"]
        assert [each["name"] for each in within] == ["gen", "sum"]
        assert within[1]["scheduler"]["parameters"]["parts"] == {"stages": "gen", "output": "out"}

    def test_what_stays_may_keep_another(self, tmp_path):
        """`mid` is kept but used oddly, so it stays, and its own odd use of `gen` keeps that, too."""
        mid = json.loads(json.dumps(TWO["stages"][1]).replace('"sum"', '"mid"'))
        mid["dependencies"] = ["gen[*]"]
        last = json.loads(json.dumps(TWO["stages"][1]).replace('"gen"', '"mid"'))
        last["scheduler"]["parameters"]["parts"]["flatten"] = True
        flow = work({"stages": [TWO["stages"][0], mid, last]}, {"seeds": [1]})
        entry = kept_by(flow, tmp_path, {1}).get

        def everything(name: str):
            return entry(name) or made(tmp_path, name)

        found = translate(flow, images=PLACED, results={}, kept=everything)
        assert [each["name"] for each in stages(found)] == ["gen", "mid", "sum"]


def made(place: Path, name: str) -> Entry:
    """An entry that holds a file `sum`."""
    tree = place / "made" / name[:8]
    tree.mkdir(parents=True, exist_ok=True)
    (tree / "sum").write_text("x")
    return Entry(tree, store.tree_of(tree), {})
