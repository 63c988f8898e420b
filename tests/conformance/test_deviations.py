"""The intended deviations that no spec of the corpus shows, each by the smallest workflow that does."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.conformance import corpus, judge
from tests.conformance.corpus import Case

OUT = {"publisher_type": "interpolated-pub", "publish": {"out": "{workdir}/out"}}


def step(cmd: str, publisher: dict[str, Any]) -> dict[str, Any]:
    process = {"process_type": "string-interpolated-cmd", "cmd": cmd}
    return {"process": process, "environment": {"environment_type": "localproc-env"}, "publisher": publisher}


def single(name: str, cmd: str, parameters: dict[str, Any], publisher: dict[str, Any], *after: str) -> dict[str, Any]:
    scheduler = {"scheduler_type": "singlestep-stage", "parameters": parameters, "step": step(cmd, publisher)}
    return {"name": name, "dependencies": list(after or ("init",)), "scheduler": scheduler}


def scattered(name: str, body: dict[str, Any], parameters: dict[str, Any], over: str) -> dict[str, Any]:
    scheduler = {
        "scheduler_type": "multistep-stage",
        "parameters": parameters,
        "scatter": {"method": "zip", "parameters": [over]},
        **body,
    }
    return {"name": name, "dependencies": ["init"], "scheduler": scheduler}


def from_init(output: str) -> dict[str, Any]:
    return {"step": "init", "output": output}


BY_HAND: dict[str, list[dict[str, Any]]] = {
    "literal-words": [single("gen", "echo {x} > out", {"x": from_init("words")}, OUT)],
    "bookkeeping-in-wildcards": [
        single("gen", "echo a > a", {}, {"publisher_type": "fromglob-pub", "globexpression": "*", "outputkey": "out"}),
    ],
    "shared-bindings": [
        scattered(
            "sub",
            {
                "workflow": {
                    "stages": [
                        {
                            "name": "fit",
                            "dependencies": ["init"],
                            "scheduler": {
                                "scheduler_type": "jq-stage",
                                "bindings": {"of": {"$wflowref": [".init[]", ".x"]}},
                                "stepscript": "[.of[] | {x: .[0]}]",
                                "step": step("echo {x} > out", OUT),
                            },
                        }
                    ]
                }
            },
            {"x": from_init("numbers")},
            "x",
        ),
    ],
    "text-of-paths": [
        single("gen", "echo a > out", {}, OUT),
        single(
            "fit",
            "echo a",
            {"x": {"stages": "gen", "output": "out"}},
            {"publisher_type": "interpolated-pub", "publish": {"text": "{x}"}},
            "gen",
        ),
    ],
    "unknown-placeholder": [
        single("gen", "echo a > out", {}, OUT),
        scattered("fit", {"step": step("echo {y}", OUT)}, {"x": from_init("nothing")}, "x"),
    ],
}
INIT = {"words": "two  blanks", "numbers": [1, 2], "nothing": []}


@pytest.mark.parametrize("name", BY_HAND)
def test_upstream_and_we_part_as_the_list_says(name, upstream, tmp_path):
    (tmp_path / "workflow.yml").write_text(yaml.safe_dump({"stages": BY_HAND[name]}))
    (tmp_path / "init.yml").write_text(yaml.safe_dump(INIT))
    verdict = judge.judge_case(Case(directory=tmp_path, execute=True, deviation=name), upstream)
    assert verdict == judge.Verdict(deviation=name, executed=True)


def test_every_deviation_is_shown():
    shown = {case.deviation for case in corpus.cases()} | set(BY_HAND)
    assert set(corpus.deviations()) - shown == set()
