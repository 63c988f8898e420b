"""From a command line to a draft: trace it, ask who owns what it read, write down what it did."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recast_dm.capsule.tracing import commands, literals, provenance, running, steps, writing
from recast_dm.capsule.tracing.draft import Draft, draft
from recast_dm.capsule.tracing.facts import Facts
from recast_dm.errors import StepFailed

PATHS = re.compile(r"PYTHONPATH|PYTHONHOME|LD_LIBRARY_PATH|LD_PRELOAD|PERL5LIB|R_LIBS.*|CLASSPATH")


def trace(
    command: Sequence[str], others: Sequence[Sequence[str]], target: Path, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Runs a command under strace, and once with each other list of arguments; writes the draft of its analysis.

    Gives the draft's document. Raises UsageError, ToolMissing, and StepFailed where the command fails.
    """
    working = Path.cwd().resolve()
    writing.refuse(target, working)
    there = frozenset(_names(working))
    traced, odd = _traced(command, environment, working)
    machine = provenance.Machine(environment.get("HOME") or "/root")
    machine.learn([program for each in traced.commands for program in each.programs])
    flow = steps.flow(traced.commands, there.__contains__, os.path.exists, lambda path: path.startswith(f"{working}/"))
    name = name_of(command)
    known = {path for step in flow.steps for path in (*step.uses, *step.outputs)}
    known |= {named for step in flow.steps for use in step.uses.values() for named in use.named}
    image = f"traced/{name}:1.0"
    with tempfile.TemporaryDirectory(prefix="recast-dm-") as directory:
        # what another run may change is copied before it, and everything that is asked of the disk is answered
        facts = Facts(machine)
        writing.collect(draft(traced, flow, literals.Literals(), facts, name, image), Path(directory))
        runs = [_traced([command[0], *words], environment, working)[0].commands for words in others]
        found = literals.compare(traced.commands, runs, lambda each, text: _is_known(each, text, known))
        made = draft(traced, flow, found, facts, name, image)
        _findings(made, traced, flow, machine, [*found.problems, *_odd(odd)], there, working)
        return writing.write(made, machine, traced, command, Path(directory), target)


def name_of(command: Sequence[str]) -> str:
    """What the analysis of a command line is called: its script, or its program.

    >>> name_of(["python3", "./Fit_it.py", "data.csv"])
    'fit-it'
    """
    script = next((word for word in command if Path(word).suffix in provenance.CODE), command[0])
    return re.sub(r"[^a-z0-9]+", "-", Path(script).stem.lower()).strip("-") or "analysis"


def _traced(command: Sequence[str], environment: Mapping[str, str], working: Path) -> tuple[commands.Traced, list[str]]:
    events, odd = running.run(command, environment)
    traced = commands.follow(events, provenance.kind, str(working))
    if traced.code != 0:
        raise StepFailed(
            f"{' '.join(command)} ended with exit code {traced.code}: nothing is drafted",
            hint="what it said is above; mend it, then trace it again",
            status=traced.code,
        )
    return traced, odd


def _names(directory: Path) -> list[str]:
    return [os.path.join(place, name) for place, _, names in os.walk(directory) for name in names]  # noqa: PTH118


def _is_known(command: commands.Command, text: str, known: set[str]) -> bool:
    """Whether a word names a file that some step reads or writes: that becomes a parameter in any case."""
    tail = text.partition("=")[2]
    return any(os.path.normpath(os.path.join(command.cwd, each)) in known for each in (text, tail) if each)  # noqa: PTH118


def _odd(lines: Sequence[str]) -> list[str]:
    return [f"{len(lines)} lines of the trace were not understood, the first: {lines[0][:80]!r}"] if lines else []


def _findings(
    made: Draft,
    traced: commands.Traced,
    flow: steps.Flow,
    machine: provenance.Machine,
    problems: list[str],
    there: frozenset[str],
    working: Path,
) -> None:
    """What a user has to know before the draft is trusted."""
    made.findings += [*problems, *_files(traced, flow, there, working)]
    for path, why in made.not_copied.items():
        made.findings.append(
            f"{path} was read and not copied: it looks {'like a secret' if why == 'secret' else 'personal'}"
        )
    for owner in made.owners:
        if owner.direct:
            made.findings.append(f"the distribution {owner.name} is from no index: put a wheel of it into wheels/")
    if paths := sorted(key for key in traced.inherited if PATHS.fullmatch(key) and traced.inherited[key]):
        made.findings.append(
            f"the environment had {', '.join(paths)}: set them in the Dockerfile if programs need them"
        )
    if not machine.has_packages:
        made.findings.append("this machine has no dpkg: add the packages that the programs need to the Dockerfile")
    silent = [text[:60] for text in made.left_out if not text.startswith(("mkdir ", "rm ", "rmdir ", "("))]
    if silent:
        made.findings.append(
            f"left out, since they left no file (what they print is not kept): {'; '.join(silent)[:300]}"
        )


def _files(traced: commands.Traced, flow: steps.Flow, there: frozenset[str], working: Path) -> list[str]:
    """What is odd about the files and addresses that the commands used."""
    found = []
    connections = dict.fromkeys([*traced.connections, *(c for each in traced.commands for c in each.connections)])
    if connections:
        found.append(
            f"the network was used ({', '.join(list(connections)[:5])}): steps have none; fetch it into data/ before"
        )
    inside = (f"{working}/", "/dev/")
    written = {path for step in flow.steps for path in step.outputs if not path.startswith(inside)}
    if beyond := sorted(path for path in written if Path(path).exists()):
        found.append(f"{len(beyond)} files were written outside of this directory: {', '.join(beyond[:5])}")
    given = {path: use for step in flow.steps for path, use in step.uses.items() if use.producer is None}
    changed = {path for path, use in given.items() if use.changed or flow.last.get(path) is not None}
    return [
        *found,
        *(
            f"{path} was there before and was changed: the draft starts from what it is now; trace it anew"
            for path in sorted(changed & there)
        ),
        *(
            f"{path} went to a command from one that was started after it: that edge is missing"
            for path in flow.crossed
        ),
        *(
            f"several commands had {path} as their input at once: only the first one gets it"
            for path in traced.shared_input
        ),
    ]
