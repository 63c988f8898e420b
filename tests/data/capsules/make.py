"""How format-2.capsule.zip was made: `python tests/data/capsules/make.py OUTPUT.capsule.zip`.

The capsule in the repository is never made again: it has to open, as it is, for ever. When a format has a new number,
this makes one of it, which then lies beside the others.

Images are files with their own names, steps are started on the host; whoever captured it, and where, is made up.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from unittest import mock

import yaml

TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(TESTS), str(TESTS / "unit")]

from preserving import capture  # noqa: E402  # the tests' own modules
from workbench import shell  # noqa: E402

from recast_dm import config, reinterpret  # noqa: E402
from recast_dm.backends.local import Local  # noqa: E402
from recast_dm.capsule import packing  # noqa: E402
from recast_dm.images import sources  # noqa: E402
from recast_dm.images.blobs import Blobs  # noqa: E402
from recast_dm.images.fake import FakeSource  # noqa: E402
from recast_dm.reinterpret import preserve  # noqa: E402
from recast_dm.runtimes.fake import FakeRuntime  # noqa: E402
from recast_dm.spec import analysis  # noqa: E402

IMAGE = "counting:1.0"
WORKSPACE = {
    "channels": [
        {
            "name": "met",
            "samples": [
                {
                    "name": "background",
                    "data": [50.0, 10.0],
                    "modifiers": [{"name": "b", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}}],
                },
            ],
        }
    ],
    "observations": [{"name": "met", "data": [52.0, 9.0]}],
    "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
    "version": "1.0.0",
}
PATCH = [
    {
        "op": "add",
        "path": "/channels/0/samples/1",
        "value": {
            "name": "signal",
            "data": [2.0, 8.0],
            "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
        },
    }
]
RECAST = {
    "name": "counting",
    "metadata": {"title": "Two bins, √s = 13 TeV", "authors": ["Ada Lovelace"], "license": "Apache-2.0"},
    "spec": {"workflow": "workflow.yml"},
    "example_inputs": {
        "default": {
            "initdata": {"events": "events.txt", "workspace": "workspace.json", "patch": "patch.json", "seeds": [1, 2]},
            "dataopts": {"initdir": "inputs"},
            "signal": {"model": "spin1-axial", "parameters": {"m_med": 1000, "m_dm": 1}},
        }
    },
    "signal": {"format": "efficiency-map", "init": {"m_med": "parameters.m_med"}},
    "statistics": {
        "likelihood": {"stage": "fit", "output": "workspace"},
        "patch": {"stage": "fit", "output": "patch"},
        "channel": "met",
        "signal_sample": "signal",
    },
    "results": [{"name": "counts", "relpath": "fit/counts.json"}],
    "reference": [
        {"path": "fit/*/counts.json", "compare": "json", "rtol": 0.01},
        {"path": "select/*/n", "compare": "exact"},
    ],
    "inputs": [{"path": "inputs/events.txt", "url": "https://example.org/events.txt"}],
}


def _stage(name: str, script: str, parameters: dict[str, object], publish: tuple[str, ...], scatter: str = "") -> dict:
    outputs = {output: f"{{workdir}}/{file}" for output, _, file in (each.partition("=") for each in publish)}
    kind = {"scheduler_type": "multistep-stage", "scatter": {"method": "zip", "parameters": [scatter]}}
    return {
        "name": name,
        "dependencies": ["select"] if name == "fit" else ["init"],
        "scheduler": {
            **(kind if scatter else {"scheduler_type": "singlestep-stage"}),
            "parameters": {**parameters, **outputs},
            "step": {
                "process": {"process_type": "interpolated-script-cmd", "script": script},
                "environment": {"environment_type": "docker-encapsulated", "image": "counting", "imagetag": "1.0"},
                "publisher": {"publisher_type": "interpolated-pub", "publish": outputs},
            },
        },
    }


def _init(name: str) -> dict[str, str]:
    return {"step": "init", "output": name}


WORKFLOW = {
    "stages": [
        _stage(
            "select",
            "grep -c '{seed}$' {events} > {n}\necho selected with seed {seed}",
            {"events": _init("events"), "seed": _init("seeds")},
            ("n=n",),
            scatter="seed",
        ),
        _stage(
            "fit",
            "cp {given} {workspace}\ncp {change} {patch}\n"
            'echo "{{\\"m_med\\": {m_med}, \\"counts\\": [$(cat {counted} | paste -sd, -)]}}" > {counts}',
            {
                "counted": {"stages": "select", "output": "n"},
                "given": _init("workspace"),
                "change": _init("patch"),
                "m_med": _init("m_med"),
            },
            ("workspace=workspace.json", "patch=patch.json", "counts=counts.json"),
        ),
    ]
}


def write(directory: Path) -> None:
    """The analysis, in a git repository with one commit."""
    inputs = directory / "inputs"
    inputs.mkdir(parents=True)
    (inputs / "events.txt").write_text("".join(f"event {zlib.crc32(b'%d' % n)}\n" for n in range(1000)))
    (inputs / "workspace.json").write_text(json.dumps(WORKSPACE))
    (inputs / "patch.json").write_text(json.dumps(PATCH))
    (directory / "recast.yml").write_text(yaml.safe_dump(RECAST, sort_keys=False, allow_unicode=True))
    (directory / "workflow.yml").write_text(yaml.safe_dump(WORKFLOW, sort_keys=False))
    script = directory / "plot.sh"
    script.write_text("#!/bin/sh\necho a file that may be executed\n")
    script.chmod(0o755)
    ada = {"NAME": "Ada Lovelace", "EMAIL": "ada@example.org", "DATE": "2020-01-01T00:00:00Z"}
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in ada.items()}
    alone = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "Two bins")):
        subprocess.run(["git", "-C", str(directory), *words], check=True, env={**os.environ, **who, **alone})


def make(target: Path) -> None:
    """Captures it, with a run."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        write(place / "counting")
        os.chdir(place)
        loaded = analysis.load(Path("counting"))
        images = sources.collect(loaded.workflow.images(), [FakeSource([IMAGE])], Blobs(place / "images"))
        local = Local(runtime=FakeRuntime({IMAGE: shell}), jobs=1, cache=None, allow_host=False)
        example = reinterpret.example_inputs(loaded)
        perform = preserve.reference_run(loaded, example, images, local, Path("run"), lambda _: None)
        capsule = capture(
            *(Path("counting"), Path("counting.capsule"), FakeSource([IMAGE]), place / "images"),
            perform=perform,
            by_reference=10_000,
        )
        packing.pack(capsule.path, target)
        print(f"{target}: sha256:{capsule.digest}")


if __name__ == "__main__":
    output = Path(sys.argv[1]).absolute()
    about = {"model": "a processor", "flags": ""}
    with (
        mock.patch.object(platform, "node", return_value="example.org"),
        mock.patch.object(platform, "platform", return_value="Linux"),
        mock.patch("getpass.getuser", return_value="ada"),
        mock.patch.object(config, "cpu_features", return_value=about),
    ):
        make(output)
