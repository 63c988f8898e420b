"""What the unit tests share: the workbench, a small piece of physics, and the toy analysis."""

from __future__ import annotations

import pytest
from preserving import capture
from workbench import IMAGE, TOY_IMAGE, Bench, shell, stage, toy, workflow

from recast_dm.capsule import Capsule
from recast_dm.cli import main
from recast_dm.images.fake import FakeSource
from recast_dm.model import Workflow
from recast_dm.spec import analysis


@pytest.fixture
def bench(tmp_path) -> Bench:
    return Bench(tmp_path, {IMAGE: shell, TOY_IMAGE: toy})


@pytest.fixture
def cli(capsys):
    """Runs a command line in this process; gives the exit code, stdout and stderr."""

    def cli(*words: object) -> tuple[int, str, str]:
        code = main([*map(str, words)])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return cli


@pytest.fixture
def physics() -> Workflow:
    """A background that no signal parameter reaches, a signal scattered over seeds, and a limit from both."""
    given = {name: {"step": "init", "output": name} for name in ("m_med", "seeds", "lumi")}
    out = {"out": "{workdir}/out"}
    return workflow(
        stage("background", "echo {lumi} > {out}", {"lumi": given["lumi"], **out}, {"out": "{workdir}/out"}),
        stage(
            "signal",
            "echo {m_med} {seed} > {out}",
            {"m_med": given["m_med"], "seed": given["seeds"], **out},
            {"out": "{workdir}/out"},
            scatter="seed",
        ),
        stage(
            "limit",
            "cat {background} {signals} > {out}",
            {
                "background": {"step": "background", "output": "out"},
                "signals": {"stages": "signal", "output": "out"},
                **out,
            },
            {"out": "{workdir}/out"},
        ),
    )


@pytest.fixture
def toy_analysis(toy_directory) -> analysis.Analysis:
    return analysis.load(toy_directory)


@pytest.fixture
def toy_capsule(toy_directory, toy_analysis, tmp_path) -> Capsule:
    initdata = {**toy_analysis.example.initdata, "m_med": 1000.0, "m_dm": 1.0}
    source = FakeSource([TOY_IMAGE])
    return capture(toy_directory, tmp_path / "toy.capsule", source, tmp_path / "images", initdata)
