"""A run in a crate: the engine's work, the workflow's, and each step's, with what went in and what came out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recast_dm import __version__, store
from recast_dm.capsule.crate import about, recorded
from recast_dm.capsule.crate.entities import Crate, Ref, local_id, ref, refs
from recast_dm.capsule.crate.recorded import COMPLETED, FAILED, Performed
from recast_dm.capsule.crate.workflow import WORKFLOW_ID, input_id, output_id, step_id, tool_id
from recast_dm.model import INIT, StepId

Place = Callable[[str], str | None]
"""Where in the crate a file of the run lies (`fit/0/out.json`, or `init/0/…` for an init file); None: not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """A run to be described: its run.json, its steps in their order, and where their files lie in the crate."""

    about: Mapping[str, Any]
    steps: Sequence[Performed]
    initdata: Mapping[str, Any]
    place: Place
    error: str = ""
    failed: bool = False


def describe(crate: Crate, execution: Execution) -> list[Ref]:
    """Adds a run, and gives what the crate has to mention: the actions that made something."""
    return _Describing(crate, execution).actions()


class _Describing:
    def __init__(self, crate: Crate, execution: Execution) -> None:
        self._crate = crate
        self._execution = execution
        self._files: dict[str, str] = {}
        self._of_step: dict[str, list[str]] = {}
        self._trees: dict[str, str] = {}
        self._with_tree: dict[str, str] = {}
        for performed in execution.steps:
            if performed.record is not None:
                self._outputs(str(performed.step), performed.record)

    def _outputs(self, step: str, record: Mapping[str, Any]) -> None:
        self._trees[step] = record["tree"]
        self._with_tree.setdefault(record["tree"], step)
        for file in record["outputs"]:
            path = f"{step}/{file['path']}"
            self._files[path] = self._file(path, file["size"], file["sha256"])
            self._of_step.setdefault(step, []).append(path)

    def _file(self, path: str, size: int | None = None, sha256: str | None = None) -> str:
        """A file of the run: one of the crate's, or one that is only described."""
        place = self._execution.place(path)
        if place is not None:
            return self._crate.add_file(place, size=size, sha256=sha256)
        said = None if size is None else str(size)
        return self._crate.add(local_id("file", path), "File", name=path, contentSize=said, sha256=sha256)

    def actions(self) -> list[Ref]:
        run = str(self._execution.about.get("id", "run"))
        steps = [self._step(performed) for performed in self._execution.steps]
        controls = [self._control(performed) for performed in self._execution.steps]
        times = [time for performed in self._execution.steps for time in recorded.times(performed) if time]
        started = recorded.at(self._execution.about.get("started")) or min(times, default=None)
        ended = max([*times, *([started] if started else [])], default=None)
        outcome = {
            "startTime": recorded.written(started),
            "endTime": recorded.written(ended),
            "actionStatus": FAILED if self._execution.failed else COMPLETED,
            "error": self._execution.error if self._execution.failed else None,
        }
        whole = self._crate.add(
            local_id("run", run),
            "CreateAction",
            name=f"run {run}",
            description=f"an execution of {self._execution.about.get('analysis', 'the workflow')}",
            instrument=ref(WORKFLOW_ID),
            object=self._given(),
            result=refs(self._last()),
            **outcome,
        )
        engine = self._crate.add(
            local_id("recast-dm"), "SoftwareApplication", name="recast-dm", softwareVersion=__version__
        )
        self._crate.add(
            local_id("organize", run),
            "OrganizeAction",
            name=f"recast-dm executes run {run}",
            instrument=ref(engine),
            object=refs(controls),
            result=ref(whole),
            **outcome,
        )
        return refs([whole, *steps])

    def _last(self) -> Iterator[str]:
        """The files of the steps that no other one depends on."""
        needed = {
            name
            for performed in self._execution.steps
            if performed.record is not None
            for name in performed.record["depends_on"]
        }
        for performed in self._execution.steps:
            if str(performed.step) not in needed:
                yield from (self._files[path] for path in self._of_step.get(str(performed.step), ()))

    # --- a step ------------------------------------------------------------------------------------------------------

    def _control(self, performed: Performed) -> str:
        step = performed.step
        return self._crate.add(
            local_id("control", step),
            "ControlAction",
            name=f"recast-dm starts {step}",
            instrument=ref(step_id(step.names)),
            object=ref(local_id("action", step)),
            **recorded.outcome(performed),
        )

    def _step(self, performed: Performed) -> str:
        step, record = performed.step, performed.record
        name = local_id("action", step)
        made: dict[str, Any] = {}
        if record is not None:
            image = record["execution"].get("image")
            made = {
                "description": record["key_parts"].get("process", {}).get("text", "publishes values"),
                "object": refs(self._taken(step, record)),
                "result": refs(self._made(step, record)),
                "containerImage": ref(about.image(self._crate, image)) if image else None,
            }
        instrument = ref(tool_id(step.names))
        self._crate.add(
            name, "CreateAction", name=f"step {step}", instrument=instrument, **made, **recorded.outcome(performed)
        )
        for paper in performed.papers:
            self._crate.add_file(paper, size=None, about=ref(name))
        return name

    def _taken(self, step: StepId, record: Mapping[str, Any]) -> Iterator[str]:
        """What a step was given: files of other steps and of the init stage, and values."""
        places = self._seen(step, record)
        for parameter, view in record["key_parts"].get("parameters", {}).items():
            paths = list(recorded.paths(view))
            files = [file for path in paths for file in self._named(path, places, record["depends_on"])]
            if paths and not files:
                continue  # where the step writes to
            formal = input_id(parameter, step.names)
            yield from self._examples(formal, tool_id(step.names), "input", parameter, files, recorded.bare(view))

    def _made(self, step: StepId, record: Mapping[str, Any]) -> Iterator[str]:
        """What came out: every file, and what was published besides."""
        yield from (self._files[path] for path in self._of_step.get(str(step), ()))
        published = record["published"]
        for output, value in (published if isinstance(published, Mapping) else {"value": published}).items():
            files = [file for text in recorded.texts(value) for file in self._below(text)]
            formal = output_id(output, step.names)
            yield from self._examples(formal, tool_id(step.names), "output", output, files, value)

    def _examples(
        self, formal: str, owner: str, way: str, name: str, files: Sequence[str], value: Any
    ) -> Iterator[str]:
        """What stands for a formal parameter: files, or a value; the parameter itself is added with the first."""
        kind = "File" if files else recorded.kind(value)
        if formal not in self._crate:
            self._crate.add(formal, "FormalParameter", name=name, additionalType=kind)
            self._crate.link(owner, way, formal)
        for file in files:
            self._crate.link(file, "exampleOfWork", formal)
        if files:
            yield from files
        else:
            yield self._value(formal, name, value)

    def _value(self, formal: str, name: str, value: Any) -> str:
        said = value if isinstance(value, bool | int | float | str) and value != "" else json.dumps(value)
        known = local_id("value", store.digest([formal, value])[:16])
        return self._crate.add(known, "PropertyValue", name=name, value=said, exampleOfWork=ref(formal))

    # --- what paths mean ---------------------------------------------------------------------------------------------

    def _seen(self, step: StepId, record: Mapping[str, Any]) -> dict[str, str]:
        """The steps whose directories a step sees, by the place where its key has them.

        An execution names places of the host for processes of the host; it has them in the order of the key.
        """
        others = [name for name in record["execution"].get("places", {}) if name != str(step)]
        return {f"/inputs/{n}": name for n, name in enumerate(others)}

    def _named(
        self, path: tuple[Mapping[str, Any], str], places: Mapping[str, str], needs: Sequence[str]
    ) -> Iterator[str]:
        directory, rest = path
        if directory["tree"] is None:
            return  # the step's own directory
        step = self._source(directory["tree"], places.get(directory["place"]), needs)
        if step == str(INIT):
            yield self._file(f"{INIT}{rest}")
        elif step is not None:
            yield from self._below(f"{step}{rest}")

    def _source(self, tree: str, named: str | None, needs: Sequence[str]) -> str | None:
        """The step whose directory it is. What comes from the cache names the steps of the run that made it."""
        if named is not None and self._trees.get(named) == tree:
            return named
        same = next((step for step in needs if self._trees.get(step) == tree), self._with_tree.get(tree))
        return same or (named if named == str(INIT) else None)

    def _below(self, path: str) -> Iterator[str]:
        """The file of that path, or all files of the directory."""
        if path in self._files:
            yield self._files[path]
            return
        step = next((s for s in self._prefixes(path) if s in self._of_step), None)
        for file in self._of_step.get(step or "", ()):
            if file.startswith(f"{path.rstrip('/')}/"):
                yield self._files[file]

    def _prefixes(self, path: str) -> Iterator[str]:
        parts = path.rstrip("/").split("/")
        return ("/".join(parts[:n]) for n in range(len(parts), 1, -1))

    # --- the init parameters -----------------------------------------------------------------------------------------

    def _given(self) -> list[Ref]:
        """The init parameters: files of the initdir where they name some, else values."""
        found: list[str] = []
        for name, value in self._execution.initdata.items():
            files = [
                self._crate.add_file(place, size=None)
                for text in recorded.texts(value)
                if (place := self._execution.place(f"{INIT}/{text}")) is not None
            ]
            found += self._examples(input_id(name), WORKFLOW_ID, "input", name, files, value)
        return refs(found)
