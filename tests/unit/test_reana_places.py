"""Where a step's files lie in a workspace, and which job made them."""

from __future__ import annotations

import pytest

from recast_dm import spec
from recast_dm.backends.reana import places
from recast_dm.backends.reana.values import Job
from recast_dm.model import StepId
from recast_dm.spec import text

STEP = """{process: {process_type: string-interpolated-cmd, cmd: 'true'},
  publisher: {publisher_type: interpolated-pub, publish: {}},
  environment: {environment_type: docker-encapsulated, image: image}}"""
INNER = f"""{{stages: [{{name: fit, dependencies: [init],
  scheduler: {{scheduler_type: singlestep-stage, parameters: {{}}, step: {STEP}}}}}]}}"""
STAGES = f"""
stages:
- name: one
  dependencies: [init]
  scheduler: {{scheduler_type: singlestep-stage, parameters: {{}}, step: {STEP}}}
- name: many
  dependencies: [init]
  scheduler:
    scheduler_type: multistep-stage
    parameters: {{n: [1, 2]}}
    scatter: {{method: zip, parameters: [n]}}
    step: {STEP}
- name: scan
  dependencies: [init]
  scheduler:
    scheduler_type: multistep-stage
    parameters: {{n: [1, 2]}}
    scatter: {{method: zip, parameters: [n]}}
    workflow: {INNER}
- name: chosen
  dependencies: [init]
  scheduler:
    scheduler_type: singlestep-stage
    parameters: {{n: 1}}
    cases:
    - if: '.n == 2'
      step: {STEP}
    - if: '.n == 1'
      workflow: {INNER}
"""


@pytest.mark.parametrize(
    ("step", "directory"),
    [
        ("one/0", "one"),
        ("many/1", "many_1"),
        ("scan/1/fit/0", "scan_1/fit"),
        ("chosen/0/fit/0", "chosen/fit"),
    ],
)
def test_a_step_has_a_directory(step, directory):
    workflow = spec.yadage.parse_workflow(text.parse(STAGES, "workflow.yml"))
    assert places.directory(workflow, StepId.parse(step)) == directory


def job(identity: str, step: str, command: str) -> Job:
    return Job(id=identity, step=step, status="finished", command=command)


def test_jobs_of_one_name_are_told_apart_by_their_directory():
    jobs = [job("1", "fit", "touch /w/scan_0/fit/a"), job("2", "fit", "touch /w/scan_1/fit/a"), job("3", "one", "")]
    assert [places.job_of(jobs, place).id for place in ("scan_0/fit", "scan_1/fit", "one")] == ["1", "2", "3"]
    assert places.job_of(jobs, "two") is None


def test_what_upstream_writes_beside_is_no_output():
    there = ["many_1/out", "many_1/_packtivity/x.log", "many_1/_yadage_parmount_0.txt", "many_10/out", "many_1"]
    assert [path for path in there if places.output(path, "many_1")] == ["many_1/out"]


def test_the_root_of_a_workspace_is_known_from_commands():
    said = "cat /var/reana/users/0/workflows/9da8/inputs/in.txt > /var/reana/users/0/workflows/9da8/gen/gen.txt"
    assert places.root([job("1", "gen", "true"), job("2", "gen", said)], "9da8") == "/var/reana/users/0/workflows/9da8"
    assert places.root([job("1", "gen", said)], "1111") is None
