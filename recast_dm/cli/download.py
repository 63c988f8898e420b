"""`recast-dm download`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import options, reana, view
from recast_dm.errors import StepFailed, UsageError

if TYPE_CHECKING:
    from recast_dm.backends import Work
    from recast_dm.backends.reana.api import Reana
    from recast_dm.backends.reana.finding import Found
    from recast_dm.backends.reana.submission import Submission
    from recast_dm.engine.execute import Finished
    from recast_dm.engine.rundir import Record
    from recast_dm.reinterpret import Result
    from recast_dm.reinterpret.planned import Planned

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PATH…]", help="Only these files or directories of its workspace, as they are."),
]


def download(
    workflow: reana.WorkflowArgument = None,
    paths: Paths = None,
    option: reana.WorkflowOption = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Where to.", show_default="where it was submitted from"),
    ] = None,
    capsule: Annotated[
        str | None,
        typer.Option(
            "--capsule",
            metavar="CAPSULE",
            help="What it was submitted of.",
            show_default="known where it was submitted",
        ),
    ] = None,
    k_factor: options.KFactor = None,
    no_cache: options.NoCache = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Fetch a workflow that has ended from REANA, as a run directory: `diff`, `limits` and `report` read it.

    Each output is checked, and gets its record. With the capsule, the result is printed as `rerun` does. With PATHs,
    those files are fetched and nothing else.

    \b
    Examples:
      recast-dm download build/runs/latest
      recast-dm download my-search-3fa94c1b.2 -o fetched --capsule my-search.capsule --json
    """
    wanted = tuple(paths or ())
    if option and workflow:  # as in reana-client: `-w W PATH`
        wanted = (workflow, *wanted)
    meant = reana.meant(None if option else workflow, option)
    server = reana.connected()
    with reana.asking(server, meant.name):
        if wanted:
            _files(server, meant, wanted, output or Path(), json=json)
            return
        directory = output or meant.directory or options.run_directory(None)
        try:
            _run(meant, directory, capsule, k_factor, cached=not no_cache, quiet=quiet, json=json)
        finally:
            options.link_latest(directory)


# --- a run directory -------------------------------------------------------------------------------------------------


def _run(
    meant: reana.Meant,
    directory: Path,
    capsule: str | None,
    k_factor: str | None,
    *,
    cached: bool,
    quiet: bool,
    json: bool,
) -> None:
    from recast_dm.backends.reana import finding
    from recast_dm.cli import cluster, execution, progress

    source, chosen = cluster.remembered(meant.directory)
    choice = options.k_factor(k_factor or chosen)
    backend = cluster.cluster(cached=cached, quiet=True)  # nothing is sent
    with progress.observer(quiet=quiet) as observer:
        found = finding.find(backend.reana, meant.name, directory / ".attempts" / "reana")
        found = replace(found, work=_as_submitted(found.work, directory))
        plan = _planned(capsule or source, found)
        work = plan.work if plan else found.work
        sent = _sent(found, directory)
        try:
            finished = backend.fetch(work, directory, observer, sent, found.status)
        except StepFailed:
            if sent is not found.sent:  # this is where it was submitted: the same `submit` is to begin it anew
                sent.failed(directory)
            raise
    if plan is None:
        _show(found, finished, json)
        return
    from recast_dm.reinterpret.result import concluded

    result = concluded(plan, finished, choice)
    if json:
        execution.keep(result)
        view.document(_document(found, finished, result))
    else:
        execution.show(result, json=False)


def _sent(found: Found, directory: Path) -> Submission:
    """The submission: as its own directory remembers it, if it is this one's."""
    from recast_dm.backends.reana import submission

    here = submission.read(directory)
    return here if here is not None and here.id == found.sent.id else found.sent


def _as_submitted(work: Work, directory: Path) -> Work:
    """The work, with what its run directory says that it is about, where there is one.

    Points that ask for the same work are one workflow there, whose note is about the first of them.
    """
    from recast_dm.engine import history

    about = history.read(directory).about if (directory / "run.json").is_file() else {}
    if about.get("initdata") != work.about.get("initdata"):
        return work
    return replace(work, about={name: about.get(name, value) for name, value in work.about.items()})


def _planned(source: str | None, found: Found) -> Planned | None:
    """What was planned where it was submitted; None where nobody says of what it is."""
    from recast_dm.cli import execution
    from recast_dm.reinterpret.returned import returned

    if source is None:
        return None
    return returned(execution.open_subject(source, execution.Opening(), None), found.work)


def _show(found: Found, finished: Finished, json: bool) -> None:
    if json:
        view.document(_document(found, finished, None))
        return
    view.out(str(finished.directory))
    view.say(f"{len(finished.records)} steps of {found.status.name}; --capsule CAPSULE also reads its result")


def _document(found: Found, finished: Finished, result: Result | None) -> dict[str, Any]:
    from recast_dm.reinterpret.result import RESULT

    return {
        "schema": "recast-dm/download/1",
        "workflow": found.status.name,
        "id": found.status.id,
        "run_dir": str(finished.directory),
        "result": str(finished.directory / RESULT) if result else None,
        "steps": [_step(record) for record in finished.records],
        "files": [],
    }


def _step(record: Record) -> dict[str, Any]:
    return {"step": str(record.step), "key": record.key, "reused": record.reused}


# --- files as they are -----------------------------------------------------------------------------------------------


def _files(server: Reana, meant: reana.Meant, wanted: tuple[str, ...], target: Path, *, json: bool) -> None:
    from recast_dm.backends.reana import workspace

    places = [path.strip("/") for path in wanted]
    tree = workspace.fetch(server, meant.name, target, lambda path: any(_is(path, place) for place in places))
    found = {file.path for file in tree.files}
    absent = [place for place in places if not any(_is(path, place) for path in found)]
    if absent:
        raise UsageError(f"{meant.name} has no {', '.join(absent)}", hint=f"recast-dm ls {meant.name}")
    if json:
        files = [{"path": each.path, "size": each.size, "sha256": each.sha256} for each in tree.files]
        none: dict[str, Any] = {"id": None, "run_dir": None, "result": None, "steps": []}
        view.document({"schema": "recast-dm/download/1", "workflow": meant.name, **none, "files": files})
    else:
        for path in sorted(found):
            view.out(str(target / path))


def _is(path: str, place: str) -> bool:
    from fnmatch import fnmatchcase

    return path == place or path.startswith(f"{place}/") or fnmatchcase(path, place)
