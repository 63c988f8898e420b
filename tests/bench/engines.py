"""The same trivial workflow for five engines: a fan-out of independent steps, or a chain of dependent ones.

Each engine gets the shortest specification that its users would write, and is started as they start it: two steps at
once, quiet, no container, nothing cached. Every step starts one `sh -c COMMAND`, in all five.
"""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from recast_dm.backends import tool_environment
from tests.bench.timing import BIN, LOCKS, TOOLS

Shape = Literal["fan-out", "chain"]
JOBS = "2"
OWN_LOCKS = Path(__file__).with_name("locks")
"""Of the tools that nothing but this bench runs."""


@dataclass(frozen=True, slots=True)
class Engine:
    """`write` puts a workflow into an empty directory; `argv` runs it there."""

    name: str
    version: str
    argv: tuple[str, ...]
    write: Callable[[Path, Shape, int, str], None]
    shapes: tuple[Shape, ...] = ("fan-out", "chain")


def every() -> tuple[Engine, ...]:
    """Ours first, then its peers; their environments are made when they are not there."""
    return (ours(), yadage(), snakemake(), cwltool(), xargs())


def ours(*more: str) -> Engine:
    recast = str(BIN / "recast-dm")
    words = ("workflow.yml", "--inputs", "input.yml", "--allow-host", "--workdir", "work", "--jobs", JOBS, "--quiet")
    return Engine("recast-dm", _version(recast, "--version"), (recast, "run", *words, *more), write_yadage)


def yadage() -> Engine:
    tool = _tool("yadage", LOCKS)
    version = _version(
        str(Path(tool).with_name("python")), "-c", "import importlib.metadata as m; print(m.version('yadage'))"
    )
    words = ("work", "workflow.yml", "input.yml", "--backend", f"multiproc:{JOBS}", "--verbosity", "ERROR")
    return Engine("yadage", version, (f"{tool}-run", *words), write_yadage)


def snakemake() -> Engine:
    tool = _tool("snakemake")
    return Engine("snakemake", _version(tool, "--version"), (tool, "--cores", JOBS, "--quiet", "all"), write_snakemake)


def cwltool() -> Engine:
    """Its --parallel starts as many steps as there are cores."""
    tool = _tool("cwltool")
    words = ("--parallel", "--quiet", "--outdir", "work", "workflow.cwl")
    return Engine("cwltool", _version(tool, "--version"), (tool, *words), write_cwl)


def xargs() -> Engine:
    """No engine at all: what starting the processes costs."""
    argv = ("sh", "-c", f'exec xargs -a steps -P {JOBS} -n 1 sh -c "$(cat command)"')
    return Engine("xargs", _version("xargs", "--version"), argv, write_xargs, ("fan-out",))


def _tool(name: str, locks: Path = OWN_LOCKS) -> str:
    lock = locks / f"tool-{name}.txt"
    return str(tool_environment.ensure(name, lock, TOOLS, build=LOCKS / "tool-build.txt").with_name(name))


def _version(*argv: str) -> str:
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return said.splitlines()[0].split()[-1]


# --- the specifications -----------------------------------------------------------------------------------------------


def write_yadage(place: Path, shape: Shape, steps: int, command: str) -> None:
    """For upstream and for us. A chain is as many stages; each takes what the one before published."""
    fan_out = shape == "fan-out"
    before = ["init"] if fan_out else ["init", *(f"s{n}" for n in range(steps - 1))]
    stages = [_stage(f"s{n}", source, command, fan_out) for n, source in enumerate(before)]
    (place / "workflow.yml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    (place / "input.yml").write_text(yaml.safe_dump({"n": list(range(steps)) if fan_out else 0}))


def _stage(name: str, before: str, command: str, fan_out: bool) -> dict[str, object]:
    step = {
        "process": {"process_type": "string-interpolated-cmd", "cmd": command},
        "environment": {"environment_type": "localproc-env"},
        "publisher": {"publisher_type": "frompar-pub", "outputmap": {"n": "n"}},
    }
    scheduler: dict[str, object] = {"scheduler_type": "singlestep-stage"}
    if fan_out:
        scheduler = {"scheduler_type": "multistep-stage", "scatter": {"method": "zip", "parameters": ["n"]}}
    scheduler |= {"parameters": {"n": {"step": before, "output": "n"}}, "step": step}
    return {"name": name, "dependencies": [before], "scheduler": scheduler}


def write_snakemake(place: Path, shape: Shape, steps: int, command: str) -> None:
    """Snakemake knows steps by their files: it touches one a step itself."""
    last = f"[f'{{n}}.done' for n in range({steps})]" if shape == "fan-out" else f"'{steps - 1}.done'"
    before = "[]" if shape == "fan-out" else "lambda w: [f'{int(w.n) - 1}.done'] if int(w.n) else []"
    (place / "Snakefile").write_text(f"""\
shell.executable("/bin/sh")
shell.prefix("")

rule all:
    input: {last}

rule step:
    input: {before}
    output: touch("{{n}}.done")
    shell: {command!r}
""")


def write_cwl(place: Path, shape: Shape, steps: int, command: str) -> None:
    """Each step gives the number that it was given."""
    step = {
        "class": "CommandLineTool",
        "baseCommand": ["sh", "-c", command],
        "inputs": {"n": "int"},
        "outputs": {"n": {"type": "int", "outputBinding": {"outputEval": "$(inputs.n)"}}},
    }
    (place / "step.cwl").write_text(yaml.safe_dump({"cwlVersion": "v1.2", **step}, sort_keys=False))
    if shape == "fan-out":
        head = {"requirements": {"ScatterFeatureRequirement": {}}}
        inputs = {"ns": {"type": "int[]", "default": list(range(steps))}}
        made = {"s": {"run": "step.cwl", "scatter": "n", "in": {"n": "ns"}, "out": ["n"]}}
        outputs = {"ns": {"type": "int[]", "outputSource": "s/n"}}
    else:
        head, inputs = {}, {"n": {"type": "int", "default": 0}}
        sources = ["n", *(f"s{n}/n" for n in range(steps - 1))]
        made = {f"s{n}": {"run": "step.cwl", "in": {"n": source}, "out": ["n"]} for n, source in enumerate(sources)}
        outputs = {"last": {"type": "int", "outputSource": f"s{steps - 1}/n"}}
    document = {"cwlVersion": "v1.2", "class": "Workflow", **head, "inputs": inputs, "outputs": outputs, "steps": made}
    (place / "workflow.cwl").write_text(yaml.safe_dump(document, sort_keys=False))


def write_xargs(place: Path, shape: Shape, steps: int, command: str) -> None:
    assert shape == "fan-out"
    (place / "steps").write_text("".join(f"{n}\n" for n in range(steps)))
    (place / "command").write_text(command)
