"""`recast-dm doctor`."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import chosen, options, view
from recast_dm.errors import RecastError, RemoteError, SpecError, ToolMissing

if TYPE_CHECKING:
    from recast_dm.backends.reana.values import Info
    from recast_dm.capsule.gates import Finding

LITTLE = 5e9
"""Bytes: a run of a few gigabytes of events needs more."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a machine needs: whether it is there, what was found, and what mends it.

    `more` are lines that say more of it, `runtime` is what is known of a runtime that works.
    """

    name: str
    works: bool
    found: str
    hint: str | None = None
    more: tuple[str, ...] = ()
    runtime: Mapping[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        known = {"runtime": self.runtime} if self.runtime else {}
        return {"name": self.name, "works": self.works, "found": self.found, "hint": self.hint, **known}


def doctor(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CAPSULE|ANALYSIS]", help="Will it rerun? Left out: can this machine?", show_default=False
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Say what may keep an analysis from running again, or what this machine lacks.

    \b
    Examples:
      recast-dm doctor my-search.capsule
      recast-dm doctor
    """
    if source is None:
        _machine(json)
    else:
        _analysis(source, json)


def _analysis(source: Path, json: bool) -> None:
    found = _findings(source)
    if json:
        view.document(_document(str(source), found, ()))
    else:
        for each in found:
            view.out(f"{each.where}: {each.severity}: {each.message}\n  {each.hint}")
        view.out(f"{source.name or source}: {_counted(found)}")
    if any(each.severity == "error" for each in found):
        raise typer.Exit(SpecError.exit_code)


def _findings(source: Path) -> tuple[Finding, ...]:
    from recast_dm.capsule import gates
    from recast_dm.spec import analysis as analyses

    if capsule := chosen.capsule(source):
        return gates.examine(capsule.analysis, captured=capsule.images)
    return gates.examine(analyses.load(source))


def _machine(json: bool) -> None:
    checks = [_python(), *_runtimes(), _cache(options.DEFAULTS.cache_dir), *_reana()]
    if json:
        view.document(_document(None, (), checks))
    else:
        view.out(view.table((each.name, "works" if each.works else "does not work", each.found) for each in checks))
        for each in checks:
            for line in (*each.more, *(each.hint or "").splitlines()):
                view.out(f"  {each.name}: {line}")
    if not any(each.works for each in checks if each.name.startswith("runtime ")):
        raise typer.Exit(ToolMissing.exit_code)
    if not all(each.works for each in checks if each.name.startswith("reana ")):
        raise typer.Exit(RemoteError.exit_code)


def _python() -> Check:
    return Check("python", True, platform.python_version())


def _runtimes() -> Iterator[Check]:
    """Every runtime that is known here, in the order in which they are chosen, each asked to start containers."""
    from recast_dm import runtimes

    for name in runtimes.names():
        try:
            yield _runtime(name)
        except RecastError as error:
            yield Check(f"runtime {name}", False, error.message, error.hint)


def _runtime(name: str) -> Check:
    """A runtime that starts containers. Raises ToolMissing for one that does not."""
    from recast_dm import runtimes
    from recast_dm.runtimes import trying

    runtime = runtimes.find(name)
    seconds = trying.tried(runtime)
    about = runtime.about()
    tested = name not in runtimes.UNTESTED
    words = [about.version, about.platform]
    words += [] if seconds is None else [f"starts a container in {seconds:.2g} s"]
    words += [] if tested else ["untested: nobody ran recast-dm with it yet"]
    return Check(
        f"runtime {name}",
        True,
        ", ".join(words),
        more=(f"gives {', '.join(about.isolation)}",),
        runtime={
            "version": about.version,
            "platform": about.platform,
            "isolation": list(about.isolation),
            "seconds": seconds,
            "tested": tested,
        },
    )


def _cache(directory: Path) -> Check:
    place = next(each for each in (directory, *directory.parents) if each.is_dir())
    free = shutil.disk_usage(place).free
    enough = free >= LITTLE
    hint = None if enough else "free some space, or name another place with RECAST_DM_CACHE_DIR"
    return Check("cache", enough, f"{free / 1e9:.0f} GB free for {directory}", hint)


def _reana() -> Iterator[Check]:
    """The REANA server that the environment names, where it names one: whether it answers, and whom it knows us as."""
    if options.DEFAULTS.reana is None:
        return
    from recast_dm.cli import reana

    try:
        server = reana.connected()
        answer = server.ping()
        ways = f", capabilities: {', '.join(sorted(answer.capabilities))}" if answer.capabilities else ""
        yield Check("reana server", True, reana.plain(f"{server.url} says {answer.message}{ways}"))
        you = server.you()
        yield Check("reana user", True, reana.plain(f"{you.email}, token {you.token_status}, REANA {you.version}"))
        yield Check("reana site", True, reana.plain(_offer(server.info())))
    except RecastError as error:
        yield Check("reana connection", False, error.message, error.hint)


def _offer(info: Info) -> str:
    """What a site offers, in short: where jobs run, and how large and how long they may be."""
    said = [f"runs on {', '.join(info.compute_backends) or 'what it does not say'}"]
    memory, seconds = info.get("kubernetes_max_memory_limit"), info.get("maximum_kubernetes_jobs_timeout")
    days = info.get("maximum_workspace_retention_period")
    said += [f"memory up to {memory}"] if memory else []
    said += [f"steps up to {seconds} s"] if seconds else []
    return ", ".join([*said, f"workspaces kept {days} days" if days else "workspaces kept until they are deleted"])


def _document(source: str | None, found: Sequence[Finding], checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "schema": "recast-dm/doctor/1",
        "source": source,
        "findings": [each.document() for each in found],
        "machine": [each.document() for each in checks],
    }


def _counted(found: Sequence[Finding]) -> str:
    counts = {kind: sum(each.severity == kind for each in found) for kind in ("error", "warning", "note")}
    words = [f"{number} {kind}{'s' * (number != 1)}" for kind, number in counts.items() if number]
    return ", ".join(words) or "nothing keeps it from running again"
