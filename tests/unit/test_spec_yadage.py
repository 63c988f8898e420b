"""yadage's language: what is read, and for each way to be wrong one message with its place and the next thing to do."""

from __future__ import annotations

import pytest
import yaml

from recast_dm import spec
from recast_dm.errors import Location, SpecError
from recast_dm.model import (
    Command,
    ConstantPublisher,
    DockerEnvironment,
    FromGlobPublisher,
    FromParJqPublisher,
    FromParPublisher,
    FromYamlPublisher,
    InterpolatedPublisher,
    ManualPublisher,
    OutputSelector,
    Scatter,
    Script,
    Workflow,
)
from recast_dm.spec import text, yadage

WORKFLOW = """\
stages:
  - name: one
    dependencies: [init]
    scheduler:
      scheduler_type: multistep-stage
      parameters:
        seed: {step: init, output: seeds}
        out: '{workdir}/x.json'
      scatter:
        method: zip
        parameters: [seed]
      step: &step
        process:
          process_type: string-interpolated-cmd
          cmd: run {seed} {out}
        environment:
          environment_type: docker-encapsulated
          image: example/image
          imagetag: '1.10'
        publisher:
          publisher_type: frompar-pub
          outputmap: {x: out}
  - name: two
    dependencies: [one]
    scheduler:
      scheduler_type: singlestep-stage
      parameters:
        seed: {stages: one, output: x, unwrap: true}
        out: 1
      step: *step
"""


def parse(source: str) -> Workflow:
    return spec.parse_workflow(text.parse(source, "workflow.yml"))


def refusal(source: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        parse(source)
    return caught.value


def test_a_workflow_becomes_values():
    workflow = parse(WORKFLOW)
    one, two = workflow.stages
    assert (one.name, one.dependencies, one.where) == ("one", ("init",), Location("workflow.yml", 2, 5))
    assert one.scatter == Scatter("zip", ("seed",), Location("workflow.yml", 10, 9))
    assert one.parameters["out"] == "{workdir}/x.json"
    assert one.body.environment == DockerEnvironment("example/image", "1.10")
    assert one.body.publisher == FromParPublisher({"x": "out"})
    assert isinstance(one.body.process, Command)
    assert two.scatter is None
    assert two.parameters["seed"] == OutputSelector("one", "x", True, False, True, Location("workflow.yml", 28, 15))
    assert workflow.images() == ("example/image:1.10",)
    assert workflow.stage("two") is two


def test_the_flattened_source_reads_back_as_the_same_workflow():
    workflow = parse(WORKFLOW)
    again = parse(yaml.safe_dump(dict(workflow.source), sort_keys=False))
    assert [s.parameters.keys() for s in again.stages] == [s.parameters.keys() for s in workflow.stages]
    assert again.source == workflow.source


@pytest.mark.parametrize(
    ("old", "new", "message", "place", "hint"),
    [
        ("stages:", "stagse:", "the workflow has no key 'stagse'", (2, 3), "did you mean 'stages'?"),
        ("stages:\n", "stages: []\nx:\n", "the workflow has no key 'x'", (3, 3), "known here: stages"),
        ("name: two", "nmae: two", "a stage has no key 'nmae'", (23, 11), "did you mean 'name'?"),
        ("name: two", "name: init", "a stage may not be called 'init'", (23, 5), None),
        ("name: two", "name: one", "two stages are called 'one'", (23, 5), None),
        ("name: two", "name: 2", "a stage's name must be a text, not a number", (23, 11), "put it in quotes"),
        ("name: two", "name: a/b", "a stage cannot be called 'a/b'", (23, 11), None),
        ("name: two", "name: .hidden", "a stage cannot be called '.hidden'", (23, 11), None),
        ("name: two", 'name: "a\\0b"', "a stage cannot be called", (23, 11), None),
        ("name: two", "name: " + "x" * 101, "a stage cannot be called", (23, 11), None),
        ("[one]", "[oen]", "the stage 'two' depends on an unknown stage 'oen'", (23, 5), "did you mean 'one'?"),
        ("[one]", "[two]", "these stages wait for each other: two", (23, 5), None),
        ("[init]", "[two]", "these stages wait for each other: one, two", (2, 5), None),
        ("[one]", "one", "the dependencies of 'two' must be a list, not a text", (24, 19), None),
        ("name: two", 'name: ""', "a stage cannot be called ''", (23, 11), None),
        ("name: two", "name: '7'", "a stage cannot be called '7': that is a step's number", (23, 11), None),
        ("[one]", "['$.x']", "the stage 'two' depends on an unknown stage 'x'", (23, 5), "known here: init, one, two"),
        ("[one]", "['one[']", "'one[' is no JSONPath", (24, 20), "write a stage's name"),
        ("[one]", "{expressions: [one]}", "lacks the key 'dependency_type'", (24, 19), None),
        ("[one]", "{dependency_type: ready, expressions: []}", "unknown dependency_type", (24, 37), "jsonpath_ready"),
        ("stages: one", "stages: oen", "selects from an unknown stage 'oen'", (28, 15), "did you mean 'one'?"),
        ("output: x,", "outptu: x,", "the parameter 'seed' has no key 'outptu'", (28, 37), "did you mean 'output'?"),
        ("{stages: one, ", "{stages: one, step: one, ", "needs exactly one of step, steps, stages", (28, 15), None),
        ("unwrap: true", "unwrap: 1", "unwrap must be true or false, not a number", (28, 48), None),
        ("singlestep-stage", "singelstep-stage", "unknown scheduler_type 'singelstep-stage'", (26, 23), "did you mean"),
        ("singlestep-stage", "jq-stage", "the scheduler of 'two' has no key 'parameters'", (28, 9), "known here"),
        ("method: zip", "method: zpi", "unknown scatter method 'zpi'", (10, 17), "did you mean 'zip'?"),
        ("parameters: [seed]", "parameters: [sede]", "unknown parameter 'sede'", (11, 22), "did you mean 'seed'?"),
        ("parameters: [seed]", "parameters: []", "the scatter names no parameter", (11, 21), None),
        ("string-interpolated-cmd", "string-cmd", "unknown process_type 'string-cmd'", (14, 25), "did you mean"),
        ("cmd: run", "cdm: run", "the process of the step of 'one' has no key 'cdm'", (15, 16), "did you mean 'cmd'?"),
        ("run {seed}", "run {sede}", "has {sede}, which is not one of the stage's", (15, 16), "did you mean 'seed'?"),
        ("run {seed}", "run {{seed}", "the braces do not pair", (15, 16), "write {{ and }}"),
        ("run {seed}", "run `{seed}", "stands after a backquote", (15, 16), "compat: raw"),
        ("docker-encapsulated", "localproc-env", "step of 'one' has no key 'image'", (18, 18), "environment_type"),
        ("docker-encapsulated", "noop-ev", "unknown environment_type 'noop-ev'", (17, 29), "did you mean 'noop-env'?"),
        ("image: example/image", "image: 1", "image must be a text, not a number", (18, 18), "put it in quotes"),
        ("'1.10'", "1.10", "the imagetag 1.1 is a number", (19, 21), "put it in quotes"),
        ("imagetag: '1.10'", "env: {A: [b]}", "the variable 'A' must be a text", (19, 20), "put it in quotes"),
        ("imagetag: '1.10'", "env: {A=: b}", "'A=' is no name of an environment variable", (19, 21), None),
        ("image: example/image", "image: -v", "'-v' is no image's name", (18, 18), None),
        ("imagetag: '1.10'", "par_mounts: [{jqscript: ., mountpath: x}]", "'x' is no absolute path", (19, 49), None),
        ("imagetag: '1.10'", "par_mounts: [{jqscript: '..|', mountpath: /x}]", "jq does not", (19, 35), None),
        ("frompar-pub", "fromjson-pub", "unknown publisher_type 'fromjson-pub'", (21, 27), "did you mean"),
        ("frompar-pub", "fromglob-pub", "has no key 'outputmap'", (22, 22), "did you mean 'outputkey'?"),
        ("outputmap: {x: out}", "outputmap: {x: uot}", "unknown parameter 'uot'", (22, 26), "did you mean 'out'?"),
        ("outputmap: {x: out}", "publish: {x: out}", "has no key 'publish'", (22, 20), "did you mean"),
        ("          outputmap: {x: out}\n", "", "lacks the key 'outputmap'", (21, 11), None),
        ("      step: *step\n", "", "the scheduler of 'two' needs exactly one of step, workflow, cases", (26, 7), None),
        ("out: 1\n", "out: 1\n      register_values: 1\n", "must be a mapping, not a number", (30, 24), None),
        ("out: 1\n", "out: 1\n      batchsize: 2\n", "has no key 'batchsize'", (30, 18), "known here"),
        (
            "      scatter:\n",
            "      batchsize: -1\n      scatter:\n",
            "batchsize must be a whole number",
            (9, 18),
            None,
        ),
        (
            "      scatter:\n",
            "      batchsize: 2\n      partitionsize: 2\n      scatter:\n",
            "has both batchsize and partitionsize",
            (5, 7),
            "keep one",
        ),
    ],
)
def test_what_is_wrong_where_and_what_next(old, new, message, place, hint):
    assert old in WORKFLOW
    head, _, tail = WORKFLOW.rpartition(old) if old in ("out: 1\n", "name: two") else WORKFLOW.partition(old)
    error = refusal(head + new + tail)
    assert message in error.message
    assert error.where == Location("workflow.yml", *place)
    said = (error.hint or "").removesuffix("1 more: `recast-dm check` lists them all").strip()
    assert (hint or "") in said
    assert (hint is None) == (said == "")


@pytest.mark.parametrize("source", ["[]", "text", "stages: 5", "stages: [text]", "stages: []", "stages: [{name: a}]"])
def test_other_shapes_are_refused(source):
    assert refusal(source).where is not None


def test_parameters_can_be_a_list_of_keys_and_values():
    listed = WORKFLOW.replace("        seed: {stages: one, output: x, unwrap: true}\n        out: 1\n", "{}").replace(
        "      parameters:\n{}", "      parameters: [{key: seed, value: 1}, {key: out, value: [a]}]\n"
    )
    assert parse(listed).stages[1].parameters == {"seed": 1, "out": ("a",)}
    twice = listed.replace("{key: out,", "{key: seed,")
    _, problems = yadage.inspect(text.parse(twice.replace("{x: out}", "{x: seed}").replace("{out}", "")))
    assert ("<text>:27:43", "the parameter 'seed' stands here twice; the last one counts", "keep one of them") in [
        (str(w.where), w.message, w.hint) for w in problems.warnings
    ]


@pytest.mark.parametrize("braces", ["{workdir}/{", "}", "{workdir"])
def test_a_publishers_braces_must_pair(braces):
    broken = WORKFLOW.replace("frompar-pub", "interpolated-pub").replace(
        "outputmap: {x: out}", f"publish: {{x: ['{{workdir}}/fine', '{braces}']}}"
    )
    error = refusal(broken)
    assert "the braces do not pair" in error.message
    assert error.where == Location("workflow.yml", 22, 43)


@pytest.mark.parametrize(
    ("publisher", "expected"),
    [
        ("publisher_type: constant-pub\n          publish: {a: [1, b]}", ConstantPublisher({"a": [1, "b"]})),
        (
            "publisher_type: interpolated-pub\n          publish: {a: '{workdir}'}",
            InterpolatedPublisher({"a": "{workdir}"}),
        ),
        (
            "publisher_type: interpolated-pub\n          relative_paths: true\n          publish: a",
            InterpolatedPublisher("a", False, True),
        ),
        ("publisher_type: fromparjq-pub", FromParJqPublisher(".", True, False, False)),
        (
            "\n          ".join(
                [
                    "publisher_type: fromparjq-pub",
                    "script: '{a: .seed}'",
                    "tryExact: false",
                    "glob: true",
                    "relative_paths: true",
                ]
            ),
            FromParJqPublisher("{a: .seed}", False, True, True),
        ),
        ("publisher_type: fromyaml-pub\n          yamlfile: /out/x.yml", FromYamlPublisher("out/x.yml")),
        (
            "publisher_type: fromglob-pub\n          globexpression: '**/*.root'\n          outputkey: files",
            FromGlobPublisher("**/*.root", "files"),
        ),
        ("publisher_type: manual-instructions-pub\n          instructions: look", ManualPublisher("look")),
    ],
)
def test_publishers(publisher, expected):
    source = WORKFLOW.replace("publisher_type: frompar-pub\n          outputmap: {x: out}", publisher)
    source = source.replace("{stages: one, output: x, unwrap: true}", "1")
    assert parse(source).stages[0].body.publisher == expected


@pytest.mark.parametrize(
    ("dependencies", "read"),
    [
        ("[one]", ("one",)),
        ("['one[*]']", ("one[*]",)),
        ("['$.one[0]', init]", ("$.one[0]", "init")),
        ("{dependency_type: jsonpath_ready, expressions: [one]}", ("one",)),
        ("[]", ()),
    ],
)
def test_dependencies(dependencies, read):
    source = WORKFLOW.replace("dependencies: [one]", f"dependencies: {dependencies}")
    assert parse(source).stages[1].dependencies == read


class TestScripts:
    SCRIPT = WORKFLOW.replace("string-interpolated-cmd", "interpolated-script-cmd").replace(
        "cmd: run {seed} {out}", "script: run {seed}\n          interpreter: {i}"
    )

    def test_shell_scripts_are_read(self):
        process = parse(self.SCRIPT.replace("{i}", "bash")).stages[0].body.process
        assert isinstance(process, Script)
        assert process.interpreter == "bash"
        assert process.script.text == "run {seed}"

    @pytest.mark.parametrize("raw", [frozenset(), frozenset({"one", "two"})])
    def test_scripts_of_other_languages_are_read_and_known_as_such(self, raw):
        """What may be put into one is decided when its values are known."""
        source = self.SCRIPT.replace("{i}", "python3").replace("run {seed}", "x = '`{seed}'")
        process = yadage.parse_workflow(text.parse(source), raw_stages=raw).stages[0].body.process
        assert process.interpreter == "python3"
        assert process.foreign is not bool(raw)
        assert process.script.fields() == ("seed",)

    def test_a_script_without_placeholders_needs_none(self):
        source = self.SCRIPT.replace("{i}", "python3 -u").replace("run {seed}", "'print({{}})'")
        process = parse(source).stages[0].body.process
        assert (process.interpreter, process.script.parts) == ("python3 -u", ("print({", "}", ")"))

    def test_an_unknown_placeholder_of_a_script_is_found_where_the_script_is(self):
        error = refusal(self.SCRIPT.replace("{i}", "sh").replace("run {seed}", "run {sede}"))
        assert error.where == Location("workflow.yml", 15, 19)
