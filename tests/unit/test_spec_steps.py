"""Processes, environments and publishers as the specification writes them."""

from __future__ import annotations

import json

import pytest

from recast_dm.errors import SpecError
from recast_dm.model import (
    Command,
    DockerEnvironment,
    HostEnvironment,
    Instructions,
    NoEnvironment,
    ParMount,
    Policy,
    Script,
    StepSpec,
)
from recast_dm.spec import steps, text
from recast_dm.spec.problems import Problems

CMD = {"process_type": "string-interpolated-cmd", "cmd": "run {x}"}
DOCKER = {"environment_type": "docker-encapsulated", "image": "i", "imagetag": "1"}
PUB = {"publisher_type": "constant-pub", "publish": {}}


def read(
    process: object = CMD, environment: object = DOCKER, publisher: object = PUB, parameters: object = ("x",)
) -> tuple[StepSpec | None, Problems]:
    problems = Problems()
    document = {"process": process, "environment": environment, "publisher": publisher}
    node = text.parse(json.dumps(document), "s.yml")
    return problems.attempt(lambda: steps.step(node, "the step", parameters, problems, raw=False)), problems


def good(**parts: object) -> StepSpec:
    spec, problems = read(**parts)
    assert problems.errors == ()
    assert spec is not None
    return spec


def refusal(**parts: object) -> SpecError:
    spec, problems = read(**parts)
    assert spec is None or problems.errors
    assert problems.errors[0].where is not None
    return problems.errors[0]


class TestProcesses:
    def test_each_kind(self):
        assert isinstance(good().process, Command)
        assert good(process=None).process is None
        manual = {"process_type": "manual-instructions-proc", "instructions": "look"}
        assert good(process=manual).process == Instructions("look")

    @pytest.mark.parametrize("interpreter", ["sh", "bash", "bash -e", "/bin/sh", "/usr/bin/bash", "dash -x"])
    def test_shell_scripts(self, interpreter):
        script = {"process_type": "interpolated-script-cmd", "script": "run '{x}'", "interpreter": interpreter}
        process = good(process=script).process
        assert isinstance(process, Script)
        assert process.script.parts[1].quoting == "single"
        assert process.interpreter == interpreter

    def test_sh_is_what_is_meant_without_one(self):
        process = good(process={"process_type": "interpolated-script-cmd", "script": "a"}).process
        assert isinstance(process, Script)
        assert process.interpreter == "sh"

    @pytest.mark.parametrize("interpreter", ["", "  ", "sh '", "sh\0"])
    def test_an_interpreter_is_a_word(self, interpreter):
        script = {"process_type": "interpolated-script-cmd", "script": "a", "interpreter": interpreter}
        assert refusal(process=script).message == f"{interpreter!r} is no interpreter"

    def test_parameters_that_only_running_can_tell(self):
        assert good(parameters=None).process is not None
        assert "has {x}" in refusal(parameters=()).message


class TestEnvironments:
    @pytest.mark.parametrize(
        ("environment", "expected"),
        [
            (None, NoEnvironment()),
            ({"environment_type": "noop-env"}, NoEnvironment()),
            ({"environment_type": "localproc-env"}, HostEnvironment()),
            ({"environment_type": "manual-instructions-env", "instructions": "go"}, NoEnvironment("go")),
            (DOCKER, DockerEnvironment("i", "1")),
        ],
    )
    def test_each_kind(self, environment, expected):
        assert good(environment=environment).environment == expected

    def test_everything_of_docker(self):
        environment = good(
            environment={
                **DOCKER,
                "envscript": "/setup.sh",
                "env": {"A": "x", "N": 5, "F": 0.5},
                "workdir": "/opt",
                "par_mounts": [{"jqscript": ".", "mountpath": "/p"}],
                "resources": ["kerberos", "slurm", {"voms_proxy": False}, {"kubernetes_memory_limit": "1Gi"}],
            }
        ).environment
        assert isinstance(environment, DockerEnvironment)
        assert environment.envscript == "/setup.sh"
        assert environment.env == {"A": "x", "N": "5", "F": "0.5"}
        assert environment.workdir == "/opt"
        (mount,) = environment.par_mounts
        assert isinstance(mount, ParMount)
        assert (mount.jqscript, mount.mountpath) == (".", "/p")
        assert (environment.resources, environment.unprovided) == (("kerberos",), ("slurm",))
        assert environment.asked == Policy(memory=2**30)

    @pytest.mark.parametrize("key", ["par_mounts", "resources", "workdir"])
    def test_nothing_is_nothing(self, key):
        assert good(environment={**DOCKER, key: None}).environment == DockerEnvironment("i", "1")

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"imagetag": 1.10}, "the imagetag 1.1 is a number"),
            ({"imagetag": True}, "imagetag must be a text"),
            ({"image": ""}, "'' is no image's name"),
            ({"image": "--privileged"}, "'--privileged' is no image's name"),
            ({"env": ["A=1"]}, "env must be a mapping"),
            ({"env": {"A": None}}, "the variable 'A' must be a text"),
            ({"env": {"A": True}}, "the variable 'A' must be a text"),
            ({"env": {"": "x"}}, "'' is no name of an environment variable"),
            ({"env": {"A=B": "x"}}, "'A=B' is no name of an environment variable"),
            ({"par_mounts": [{"jqscript": ".", "mountpath": "/a/../b"}]}, "is no absolute path in a container"),
            ({"par_mounts": [{"jqscript": "env", "mountpath": "/a"}]}, "reads the machine"),
            ({"par_mounts": [{"mountpath": "/a"}]}, "lacks the key 'jqscript'"),
            ({"workdri": "/a"}, "has no key 'workdri'"),
            ({"envscript": 5}, "envscript must be a text"),
        ],
    )
    def test_what_cannot_be(self, more, message):
        assert message in refusal(environment={**DOCKER, **more}).message


class TestPublishers:
    @pytest.mark.parametrize(
        ("publisher", "message"),
        [
            ({"publisher_type": "fromyaml-pub", "yamlfile": "../x"}, "names nothing below the work directory"),
            ({"publisher_type": "fromyaml-pub", "yamlfile": "/"}, "names nothing below the work directory"),
            (
                {"publisher_type": "fromglob-pub", "globexpression": "a/../../*", "outputkey": "k"},
                "names nothing below",
            ),
            ({"publisher_type": "fromglob-pub", "globexpression": "*"}, "lacks the key 'outputkey'"),
            ({"publisher_type": "fromparjq-pub", "script": "env"}, "reads the machine"),
            ({"publisher_type": "fromparjq-pub", "tryexact": True}, "has no key 'tryexact'"),
            ({"publisher_type": "fromparjq-pub", "tryExact": 1}, "tryExact must be true or false"),
            ({"publisher_type": "interpolated-pub", "publish": {"o": "{y}"}}, "names {y}"),
            ({"publisher_type": "interpolated-pub", "publish": {"o": "{y[a]}"}}, "names {y[a]}"),
            ({"publisher_type": "interpolated-pub", "publish": {"o": "{}"}}, "names {}"),
            ({"publisher_type": "frompar-pub", "outputmap": {"o": ["x", "y"]}}, "publishes the unknown parameter 'y'"),
            (None, "must be a mapping, not empty"),
        ],
    )
    def test_what_cannot_be(self, publisher, message):
        assert message in refusal(publisher=publisher).message


@pytest.mark.parametrize(
    ("process", "environment", "starts"),
    [
        (CMD, DOCKER, True),
        (CMD, {"environment_type": "localproc-env"}, True),
        (CMD, None, False),
        (CMD, {"environment_type": "noop-env"}, False),
        (None, DOCKER, False),
        ({"process_type": "manual-instructions-proc", "instructions": "look"}, DOCKER, False),
    ],
)
def test_what_starts_something(process, environment, starts):
    assert good(process=process, environment=environment).starts_something is starts
